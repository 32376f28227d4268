"""A kernel that waits: real code through the whole of each side's way, and no core is burned by it."""

from __future__ import annotations

from pathlib import Path

import tvm
from tvm import te
from tvm.s_tir import meta_schedule as ms

from benchmarks.machine import host_target
from benchmarks.matmul import Candidate
from tvm_farm.tracker.tuning.building.toolchain import link

__all__ = ["sleeping_kernel"]


def sleeping_kernel(folder: Path, milliseconds: int) -> Candidate:
    """One float32 in, one out, and ``usleep`` between them; compiled once and written as each side takes it."""
    from tvm.support.tar import tar

    a = te.placeholder((1,), "float32", "a")
    b = te.compute(
        (1,), lambda i: a[i] + tvm.tirx.call_extern("int32", "usleep", 1000 * milliseconds).astype("float32"), "b"
    )
    module = tvm.IRModule({"main": te.create_prim_func([a, b])})
    compiled = tvm.tirx.build(module, target=tvm.target.Target(host_target()))
    code, archive, library = (folder / f"sleep{milliseconds}{kind}" for kind in (".o", ".tar", ".so"))
    compiled.write_to_file(str(code))
    compiled.export_library(str(archive), fcompile=tar)
    link(library, [code])
    arguments = tuple(ms.arg_info.TensorInfo("float32", [1]) for _ in range(2))
    return Candidate(str(tvm.ir.save_json(module)), archive, library, arguments)
