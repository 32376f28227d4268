"""The package: a folder with the model's library, its parameters and a manifest, loadable without TVM's Python."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import tvm

from tvm_farm.tracker.client.artifacts import file_digest
from tvm_farm.tracker.tuning.judging.comparison import compare
from tvm_farm.tracker.tuning.judging.reference import Reference, tolerance_of
from tvm_farm.tracker.tuning.models.importers import ImportedModel
from tvm_farm.tracker.tuning.packages import shipped
from tvm_farm.tracker.tuning.packages.shipped.run import save_arrays

__all__ = [
    "ANSWERS",
    "FORMAT",
    "INPUTS",
    "LIBRARY",
    "MANIFEST",
    "MAX_EXAMPLE_BYTES",
    "PARAMS",
    "RUN",
    "Variant",
    "save_params",
    "write_package",
]

LIBRARY, PARAMS, MANIFEST, RUN = "model.so", "params.bin", "manifest.json", "run.py"
#: What the judge was asked and what it answered.
INPUTS, ANSWERS = "inputs.npz", "answers.npz"
#: What was cut off the model's end, for ONNX Runtime.
TAIL = "tail.onnx"
FORMAT = 1
#: Larger ones stay out of the package.
MAX_EXAMPLE_BYTES = 16 << 20


@dataclass(frozen=True)
class Variant:
    """The model for one set of shapes. ``params``: by their names in the order in which ``main`` takes them, after the
    inputs. ``reference``: what it was judged by.
    """

    library: bytes
    params: Mapping[str, tvm.runtime.Tensor]
    model: ImportedModel
    latency: Mapping[str, Any] = field(default_factory=dict)
    reference: Reference | None = None


def save_params(params: Mapping[str, tvm.runtime.Tensor], path: Path) -> None:
    """Write ``params`` in TVM's own format: ``runtime.LoadParamsFromFile`` reads it on any board."""
    tvm.runtime.save_param_dict_to_file(dict(params), str(path))


def write_package(
    folder: Path,
    variants: Sequence[Variant],
    *,
    name: str,
    source: str = "",
    target: str,
    device_class: str,
    versions: Mapping[str, str],
    padding: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the package into ``folder`` and return its files.

    ``source``: the digest of the model's file. ``variants``: smallest first; the last one is the model where a reader
    knows of one alone, and its example goes along. Equal parameters of several are kept once. ``padding``: see
    ``judging.padding``. ``fixed``: inputs that the file takes and the package does not, with their value.
    """
    libraries = [*(f"model-{number}.so" for number in range(1, len(variants))), LIBRARY]
    for file, variant in zip(libraries, variants, strict=True):
        (folder / file).write_bytes(variant.library)
    params, names = _shared([variant.params for variant in variants])
    save_params(params, folder / PARAMS)
    shutil.copyfile(shipped.RUN, folder / RUN)
    files = [*libraries, PARAMS, RUN, *_write_example(folder, variants[-1])]
    if variants[-1].model.tail:
        (folder / TAIL).write_bytes(variants[-1].model.tail)
        files.append(TAIL)
    digests = {file: file_digest(folder / file)[0] for file in files}
    described = [_described(*each) for each in zip(libraries, variants, names, strict=True)]
    manifest = {
        "format": FORMAT,
        "model": name,
        "model_sha256": source,
        **described[-1],
        "params": PARAMS,
        "target": target,
        "device_class": device_class,
        "versions": dict(versions),
        "digests": digests,
        "fixed": dict(fixed or {}),
        "notes": list(variants[-1].model.notes),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    if len(variants) > 1:
        manifest.update(variants=described, padding=padding)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return [folder / file for file in (*files, MANIFEST)]


def _described(library: str, variant: Variant, params: list[str]) -> dict[str, Any]:
    model = variant.model
    return {
        "entry": "main",
        "library": library,
        "inputs": [{"name": i.name, "shape": list(i.shape), "dtype": i.dtype} for i in model.inputs],
        "outputs": [{"name": o.name, "shape": list(o.shape), "dtype": o.dtype} for o in model.outputs],
        "param_names": params,
        "latency": dict(variant.latency),
        **_judged(variant),
    }


def _judged(variant: Variant) -> dict[str, Any]:
    """Who gave the answers that the package was held against, on what, and how far apart they may be."""
    reference, latency = variant.reference, variant.latency
    if reference is None or reference.expected is None:
        return {}
    limits = compare(reference.expected, reference.expected, tolerance_of(variant.model))
    difference = latency.get("max_abs_diff") if latency.get("outputs_equal") else None
    told = {"by": reference.judge, "inputs": reference.inputs_from, "max_abs_diff": difference}
    return {"judged": {**told, "rtol": limits.rtol, "atol": limits.atol}}


def _shared(
    each: Sequence[Mapping[str, tvm.runtime.Tensor]],
) -> tuple[dict[str, tvm.runtime.Tensor], list[list[str]]]:
    """All parameters by new names, equal ones once; and those names for each variant, in its order."""
    if len(each) == 1:
        return dict(each[0]), [list(each[0])]
    params: dict[str, tvm.runtime.Tensor] = {}
    by_content: dict[str, str] = {}
    names: list[list[str]] = []
    for variant in each:
        names.append([])
        for tensor in variant.values():
            array = tensor.numpy()
            kind = f"{tensor.dtype}{array.shape}".encode()
            content = hashlib.sha256(kind + np.ascontiguousarray(array).tobytes()).hexdigest()
            name = by_content.setdefault(content, f"p{len(by_content)}")
            params[name] = tensor
            names[-1].append(name)
    return params, names


def _write_example(folder: Path, variant: Variant) -> list[str]:
    """Files with the inputs of the comparison and the judge's answers; none where they are large or nobody judged."""
    reference, model = variant.reference, variant.model
    if reference is None or reference.expected is None:
        return []
    if sum(array.nbytes for array in (*reference.inputs, *reference.expected)) > MAX_EXAMPLE_BYTES:
        return []
    for file, infos, arrays in (
        (INPUTS, model.inputs, reference.inputs),
        (ANSWERS, model.outputs, reference.expected),
    ):
        save_arrays(folder / file, {info.name: array for info, array in zip(infos, arrays, strict=True)})
    return [INPUTS, ANSWERS]
