"""The package: a folder with the model's library, its parameters and a manifest, loadable without TVM's Python."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import tvm

from tracker.tuning.judging.reference import Reference
from tracker.tuning.models import shipped
from tracker.tuning.models.importers import ImportedModel
from tracker.tuning.models.shipped.run import save_arrays

__all__ = ["FORMAT", "LIBRARY", "MANIFEST", "PARAMS", "RUN", "save_params", "write_package"]

LIBRARY, PARAMS, MANIFEST, RUN = "model.so", "params.bin", "manifest.json", "run.py"
#: What the judge was asked and what it answered.
INPUTS, ANSWERS = "inputs.npz", "answers.npz"
#: Larger ones stay out of the package.
_MAX_EXAMPLE_BYTES = 16 << 20
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
    reference: Reference | None = None,
) -> list[Path]:
    """Write library, manifest and ``run.py`` beside the parameters, which ``save_params`` put there; returns all files.

    ``params`` are the names in the order in which ``main`` takes them, after the inputs. ``reference``: what the
    package was judged by, which goes along.
    """
    (folder / LIBRARY).write_bytes(library)
    shutil.copyfile(shipped.RUN, folder / RUN)
    files = [LIBRARY, PARAMS, RUN, *_write_example(folder, model, reference)]
    digests = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files}
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
        "notes": list(model.notes),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return [folder / file for file in (*files, MANIFEST)]


def _write_example(folder: Path, model: ImportedModel, reference: Reference | None) -> list[str]:
    """Files with the inputs of the comparison and the judge's answers; none where they are large or nobody judged."""
    if reference is None or reference.expected is None:
        return []
    if sum(array.nbytes for array in (*reference.inputs, *reference.expected)) > _MAX_EXAMPLE_BYTES:
        return []
    for file, infos, arrays in (
        (INPUTS, model.inputs, reference.inputs),
        (ANSWERS, model.outputs, reference.expected),
    ):
        save_arrays(folder / file, {info.name: array for info, array in zip(infos, arrays, strict=True)})
    return [INPUTS, ANSWERS]
