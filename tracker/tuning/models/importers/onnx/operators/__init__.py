"""The farm's own converters, a module a family; importing one registers what it has."""

from tracker.tuning.models.importers.onnx.operators import (
    control,
    integer_products,
    packed_weights,
    quantize,
    quantized_elements,
    structure,
)

__all__ = ["control", "integer_products", "packed_weights", "quantize", "quantized_elements", "structure"]
