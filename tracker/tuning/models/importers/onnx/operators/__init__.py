"""The farm's own converters, a module a family; importing one registers what it has."""

from tracker.tuning.models.importers.onnx.operators import control, recurrent, structure

__all__ = ["control", "recurrent", "structure"]
