"""The package of an operator: for each of its kernels the library, the scheduled program and its trace; a manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from tvm_farm.tracker.client.artifacts import file_digest
from tvm_farm.tracker.tuning.models.operator import Kernel
from tvm_farm.tracker.tuning.packages import shipped
from tvm_farm.tracker.tuning.packages.package import FORMAT, INPUTS, MANIFEST, MAX_EXAMPLE_BYTES, RUN
from tvm_farm.tracker.tuning.packages.shipped.run import save_arrays

__all__ = ["PackagedKernel", "write_operator_package"]


@dataclass(frozen=True)
class PackagedKernel:
    """``module``: the program that ``library`` was made of (``tvm.ir.save_json``). ``trace``: how it came of the one
    that a person wrote (JSON), "" where it is that one. ``latency`` is for the manifest. ``values``: of the arguments
    that must not be any, by position.
    """

    kernel: Kernel
    library: bytes
    module: str
    trace: str
    latency: Mapping[str, Any]
    values: Mapping[int, np.ndarray]


def write_operator_package(
    folder: Path,
    kernels: Sequence[PackagedKernel],
    *,
    name: str,
    source: str,
    operator: str,
    parameters: Mapping[str, str],
    target: str,
    device_class: str,
    versions: Mapping[str, str],
) -> list[Path]:
    """Write the package into ``folder`` and return its files. ``operator``: the file and the name in it;
    ``source``: the file's digest.

    The values that kernels were measured with go along, as ``KERNEL.ARGUMENT`` in an NPZ file, unless they are large.
    """
    (folder / RUN).write_bytes(shipped.RUN.read_bytes())
    digests = {RUN: file_digest(folder / RUN)[0]}
    entries = []
    for packaged in kernels:
        kernel = packaged.kernel
        files = {"library": (f"{kernel.name}.so", packaged.library)}
        files["module"] = (f"{kernel.name}.module.json", packaged.module.encode())
        if packaged.trace:
            files["trace"] = (f"{kernel.name}.trace.json", packaged.trace.encode())
        for file, content in files.values():
            (folder / file).write_bytes(content)
            digests[file] = hashlib.sha256(content).hexdigest()
        arguments = [
            {"name": info.name, "shape": list(info.shape), "dtype": info.dtype, "output": at in kernel.outputs}
            | ({"filled": False} if at in packaged.values else {})
            for at, info in enumerate(kernel.arguments)
        ]
        named = {kind: file for kind, (file, _) in files.items()}
        latency = dict(packaged.latency)
        entries.append({"name": kernel.name, "entry": "main", **named, "arguments": arguments, "latency": latency})
    if example := _example(kernels):
        save_arrays(folder / INPUTS, example)
        digests[INPUTS] = file_digest(folder / INPUTS)[0]
    manifest = {
        "format": FORMAT,
        "kind": "operator",
        "model": name,
        "model_sha256": source,
        "operator": operator,
        "parameters": dict(parameters),
        "kernels": entries,
        "target": target,
        "device_class": device_class,
        "versions": dict(versions),
        "digests": digests,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return [*(folder / file for file in digests), folder / MANIFEST]


def _example(kernels: Sequence[PackagedKernel]) -> dict[str, np.ndarray]:
    arrays = {
        f"{packaged.kernel.name}.{packaged.kernel.arguments[at].name}": array
        for packaged in kernels
        for at, array in packaged.values.items()
    }
    return arrays if sum(array.nbytes for array in arrays.values()) <= MAX_EXAMPLE_BYTES else {}
