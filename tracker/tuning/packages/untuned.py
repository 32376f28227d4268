"""An import runs on this host, untuned and packaged, before any board is asked for."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tvm

from tvm_farm.tracker.tuning.building.builder import build_model
from tvm_farm.tracker.tuning.models.graph import lower
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel
from tvm_farm.tracker.tuning.packages.package import Variant, write_package
from tvm_farm.tracker.tuning.packages.package_run import run_package

__all__ = ["answers_on_host", "host_target", "is_host"]


def host_target() -> dict[str, str]:
    """The target of this host's CPU."""
    return {"kind": "llvm", "mcpu": str(tvm.target.codegen.llvm_get_system_cpu())}


def is_host(target_json: str) -> bool:
    """Whether what is compiled for this target runs on this host: same architecture, same CPU as LLVM calls it."""
    target = json.loads(target_json)
    triple = str(target.get("mtriple", "")).partition("-")[0] or platform.machine()
    return target.get("kind") == "llvm" and triple == platform.machine() and target.get("mcpu") == host_target()["mcpu"]


def answers_on_host(model: ImportedModel, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Answers of ``model`` as it was imported, by TVM's untuned kernels. Raises what TVM raises, and PackageFault."""
    target = tvm.target.Target(host_target())
    lowered = lower(model.module, target, as_written=True)
    with tempfile.TemporaryDirectory(prefix="tvm-farm-import-") as place:
        folder = Path(place)
        variant = Variant(build_model(lowered.module, target), lowered.params, model)
        write_package(folder, [variant], name="import", target=str(target), device_class="", versions={})
        return run_package(folder, inputs, [info.name for info in model.inputs], model.outputs)
