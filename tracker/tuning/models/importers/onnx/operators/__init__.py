"""The farm's own converters, a module a family; importing one registers what it has."""

from tracker.tuning.models.importers.onnx.operators import (
    activations,
    arithmetic,
    casting,
    control,
    normalizing,
    products,
    reductions,
    shaping,
    softmax,
    spectra,
    structure,
)

__all__ = [
    "activations",
    "arithmetic",
    "casting",
    "control",
    "normalizing",
    "products",
    "reductions",
    "shaping",
    "softmax",
    "spectra",
    "structure",
]
