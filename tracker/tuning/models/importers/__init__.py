"""A person's model file, of whatever format, becomes a Relax module with static shapes and a judge of its answers.

A new format is one module with an ``Importer`` and one line in ``_IMPORTERS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tracker.tuning.errors import InputError
from tracker.tuning.models.importers.base import ImportedModel, Importer, Judge, TensorInfo
from tracker.tuning.models.importers.onnx import OnnxImporter
from tracker.tuning.models.importers.pytorch import PytorchImporter
from tracker.tuning.models.importers.tflite import TfliteImporter

__all__ = ["ImportedModel", "Judge", "TensorInfo", "load_model"]

#: Asked in this order; the last one takes whatever no other knows.
_IMPORTERS: tuple[Importer, ...] = (TfliteImporter(), PytorchImporter(), OnnxImporter())


def load_model(path: Path, shapes: Mapping[str, Sequence[int]], name: str) -> ImportedModel:
    """Import the file at ``path``. ``shapes`` fixes inputs whose dimensions are open; ``name`` is for messages.

    Raises InputError: not a model file, a dimension left open (named), a shape for an input that does not exist or
    contradicts the file, an operator that cannot be imported (its node is named).
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.") from error
    importer = next((each for each in _IMPORTERS if each.recognises(head)), _IMPORTERS[-1])
    return importer.load(path, shapes, name)
