"""TFLite files, the format of phones and microcontrollers. ``load_tflite`` tells how one becomes a Relax module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel
from tvm_farm.tracker.tuning.models.importers.survey import Survey

__all__ = ["TfliteImporter"]

_NEEDED = ("tflite", "ai_edge_litert")


class TfliteImporter:
    """See ``Importer``. What reads and judges these files is imported with the first of them."""

    def recognises(self, head: bytes) -> bool:
        return head[4:8] == b"TFL3"

    def load(
        self, path: Path, shapes: Mapping[str, Sequence[int]], name: str, survey: Survey | None = None
    ) -> ImportedModel:
        """With a ``survey``, a new one, all operators that are refused are in it before the first is raised."""
        try:
            from tvm_farm.tracker.tuning.models.importers.tflite.load import load_tflite
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in _NEEDED:
                raise
            raise InputError(
                f"{name} is a TFLite file, which needs LiteRT on the tuning worker: pip install tflite ai-edge-litert, "
                "where that exists for its system."
            ) from error
        return load_tflite(path, shapes, name, survey)

    def survey(self, path: Path, shapes: Mapping[str, Sequence[int]], name: str) -> tuple[Survey, ImportedModel | None]:
        """See ``survey_model``."""
        survey = Survey(name)
        try:
            return survey, self.load(path, shapes, name, survey)
        except InputError as error:
            survey.ended(error)
            return survey, None
