"""An imported model compiled for this machine and run, untuned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tvm
from tvm import relax

from tvm_farm.tracker.tuning.models.graph import lower
from tvm_farm.tracker.tuning.models.importers import ImportedModel

__all__ = ["run_import"]


def run_import(model: ImportedModel, inputs: Sequence[np.ndarray], *, as_written: bool = True) -> list[np.ndarray]:
    """Every output. ``as_written``: with the layouts of the file, else as it is tuned."""
    target = tvm.target.Target({"kind": "llvm", "mcpu": str(tvm.target.codegen.llvm_get_system_cpu())})
    lowered = lower(model.module, target, as_written=as_written)
    machine = relax.VirtualMachine(relax.build(lowered.module, target), tvm.cpu())
    result = machine["main"](*map(tvm.runtime.tensor, inputs), *lowered.params.values())
    return [value.numpy() for value in (result if isinstance(result, tvm.ir.Array | list | tuple) else [result])]
