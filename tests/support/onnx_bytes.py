"""A model that a test made, through the importer that jobs use."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tvm_farm.tracker.tuning.models.importers import ImportedModel, load_model

__all__ = ["load_onnx"]


def load_onnx(model: bytes, shapes: Mapping[str, Sequence[int]], name: str) -> ImportedModel:
    """The import of an ONNX file with these bytes. Its judge has lost the file; the module has not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(model)
        return load_model(path, shapes, name)
