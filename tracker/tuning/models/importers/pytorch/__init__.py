"""Programs that ``torch.export.save`` wrote (``.pt2``). ``load_pytorch`` tells how one becomes a Relax module."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel
from tvm_farm.tracker.tuning.models.importers.pytorch.archive import check_kind

__all__ = ["PytorchImporter"]


class PytorchImporter:
    """See ``Importer``. Every zip archive is asked about: what PyTorch writes otherwise gets a sentence of its own.

    PyTorch is imported with the first such file, where it is installed: it is an extra of its own.
    """

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"PK\x03\x04")

    def load(self, path: Path, shapes: Mapping[str, Sequence[int]], name: str) -> ImportedModel:
        check_kind(path, name)
        if importlib.util.find_spec("torch") is None:
            raise InputError(
                f"{name} is an exported program, which needs PyTorch on the tuning worker: "
                "pip install 'tvm-farm[torch]'."
            )
        from tvm_farm.tracker.tuning.models.importers.pytorch.load import load_pytorch

        return load_pytorch(path, shapes, name)
