"""The farm's own converters, a module a family; importing one registers what it has."""

from tracker.tuning.models.importers.onnx.operators import activations, arithmetic, casting, control, products, reductions, shaping, softmax, structure

__all__ = ["activations", "arithmetic", "casting", "control", "products", "reductions", "shaping", "softmax", "structure"]
