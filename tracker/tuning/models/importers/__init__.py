"""A person's model file, of whatever format, becomes a Relax module with static shapes and a judge of its answers.

A new format is one module with an ``Importer`` and one line in ``_IMPORTERS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel, Importer, Judge, TensorInfo
from tvm_farm.tracker.tuning.models.importers.onnx import OnnxImporter
from tvm_farm.tracker.tuning.models.importers.pytorch import PytorchImporter
from tvm_farm.tracker.tuning.models.importers.survey import Survey, survey_of
from tvm_farm.tracker.tuning.models.importers.tflite import TfliteImporter

__all__ = ["ImportedModel", "Judge", "Survey", "TensorInfo", "load_model", "survey_model"]

#: Asked in this order; the last one takes whatever no other knows.
_IMPORTERS: tuple[Importer, ...] = (TfliteImporter(), PytorchImporter(), OnnxImporter())


def load_model(
    path: Path, shapes: Mapping[str, Sequence[int]], name: str, fixed: Mapping[str, np.ndarray] | None = None
) -> ImportedModel:
    """Import the file at ``path``. ``shapes`` fixes inputs whose dimensions are open; ``name`` is for messages.

    ``fixed``: values of inputs by name, which become constants of the model and none of its inputs.

    Raises InputError: not a model file, a dimension left open (named), a shape for an input that does not exist or
    contradicts the file (the same for values), an operator that cannot be imported (its node is named).
    """
    importer = _importer_of(path, name)
    if not fixed:
        return importer.load(path, shapes, name)
    if not isinstance(importer, OnnxImporter):
        raise InputError(f"{name} is no ONNX file, and only inputs of those take --fix: leave it out.")
    return importer.load(path, shapes, name, fixed)


def survey_model(
    path: Path, shapes: Mapping[str, Sequence[int]], name: str, fixed: Mapping[str, np.ndarray] | None = None
) -> tuple[Survey, ImportedModel | None]:
    """What is in the file, and the model, or None where the survey has obstacles: all that are in the way.

    Raises InputError as ``load_model`` where nothing can be said beyond that.
    """
    importer = _importer_of(path, name)
    if isinstance(importer, OnnxImporter):
        return importer.survey(path, shapes, name, fixed or {})
    if isinstance(importer, TfliteImporter) and not fixed:
        return importer.survey(path, shapes, name)
    model = load_model(path, shapes, name, fixed)
    return survey_of(model, name), model


def _importer_of(path: Path, name: str) -> Importer:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.") from error
    return next((each for each in _IMPORTERS if each.recognises(head)), _IMPORTERS[-1])
