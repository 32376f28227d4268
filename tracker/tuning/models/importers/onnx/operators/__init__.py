"""The farm's own converters, a module a family; importing one registers what it has."""

from tracker.tuning.models.importers.onnx.operators import (
    control,
    convolution,
    padding,
    pooling,
    regions,
    resize,
    sampling,
    space,
    structure,
)

__all__ = ["control", "convolution", "padding", "pooling", "regions", "resize", "sampling", "space", "structure"]
