"""The package: a folder with the model's library, its parameters and a manifest, loadable without TVM's Python."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import tvm

from tracker.tuning.models.importers import ImportedModel

__all__ = ["FORMAT", "LIBRARY", "MANIFEST", "PARAMS", "save_params", "write_package"]

LIBRARY, PARAMS, MANIFEST = "model.so", "params.bin", "manifest.json"
FORMAT = 1


def save_params(params: Mapping[str, tvm.runtime.Tensor], path: Path) -> None:
    """Write ``params`` in TVM's own format: ``runtime.LoadParamsFromFile`` reads it on any board."""
    tvm.runtime.save_param_dict_to_file(dict(params), str(path))


def write_package(
    folder: Path,
    library: bytes,
    *,
    name: str,
    model: ImportedModel,
    params: list[str],
    target: str,
    device_class: str,
    versions: Mapping[str, str],
    latency: Mapping[str, Any],
) -> list[Path]:
    """Write library and manifest beside the parameters, which ``save_params`` put there; returns all three files.

    ``params`` are the names in the order in which ``main`` takes them, after the inputs.
    """
    (folder / LIBRARY).write_bytes(library)
    digests = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in (LIBRARY, PARAMS)}
    manifest = {
        "format": FORMAT,
        "model": name,
        "entry": "main",
        "library": LIBRARY,
        "params": PARAMS,
        "inputs": [{"name": i.name, "shape": list(i.shape), "dtype": i.dtype} for i in model.inputs],
        "outputs": [{"name": o.name, "shape": list(o.shape), "dtype": o.dtype} for o in model.outputs],
        "param_names": params,
        "target": target,
        "device_class": device_class,
        "versions": dict(versions),
        "digests": digests,
        "latency": dict(latency),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return [folder / file for file in (LIBRARY, PARAMS, MANIFEST)]
