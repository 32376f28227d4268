"""ONNX files. ``load_onnx`` tells how one becomes a Relax module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel
from tvm_farm.tracker.tuning.models.importers.onnx.load import load_onnx
from tvm_farm.tracker.tuning.models.importers.onnx.survey import GraphSurvey
from tvm_farm.tracker.tuning.models.importers.survey import Survey

__all__ = ["OnnxImporter", "load_onnx"]


class OnnxImporter:
    """See ``Importer``. An ONNX file is a bare protobuf message and bears no mark: this one takes what others leave."""

    def recognises(self, head: bytes) -> bool:
        return True

    def load(
        self,
        path: Path,
        shapes: Mapping[str, Sequence[int]],
        name: str,
        fixed: Mapping[str, np.ndarray] | None = None,
    ) -> ImportedModel:
        return load_onnx(path, shapes, name, fixed or {})

    def survey(
        self, path: Path, shapes: Mapping[str, Sequence[int]], name: str, fixed: Mapping[str, np.ndarray]
    ) -> tuple[Survey, ImportedModel | None]:
        """See ``survey_model``."""
        survey = GraphSurvey(name)
        try:
            return survey, load_onnx(path, shapes, name, fixed, survey)
        except InputError as error:
            survey.ended(error)
            return survey, None
