"""What runs inside a builder process: one scheduled module in, one shared library out."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import tvm
from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock

from tvm_farm.tracker.tuning.building.intrinsics import register_intrinsics
from tvm_farm.tracker.tuning.building.toolchain import link

__all__ = ["RECIPE", "build_kernel", "build_model", "for_schedules", "prepare_for"]

#: LLVM's search for scalar code that could be vector code takes a third of a candidate's compilation, unrolled as that
#: is, and finds next to nothing: a schedule vectorizes by itself. Of 36 random schedules of convolutions one ran slower
#: without it, 1.65 times; a search meets others. The untuned code that tuning is compared with keeps it.
_FOR_SCHEDULES = ["-vectorize-slp:bool=0"]
#: Another one for each change by which one schedule gives another kernel, or no error any more: records of another
#: recipe answer no candidate.
RECIPE = "1"


def for_schedules(target_json: str) -> str:
    """The target, as JSON, by which schedules that were searched for are compiled, in kernels and in whole models."""
    target = json.loads(target_json)
    if target.get("kind") != "llvm":
        return target_json
    return json.dumps({**target, "cl-opt": [*target.get("cl-opt", ()), *_FOR_SCHEDULES]})


def prepare_for(target_json: str) -> None:
    """Load what building for this target needs once in a process, which may take seconds."""
    register_intrinsics(tvm.target.Target(target_json))


def build_kernel(module_json: str, target_json: str) -> tuple[bytes, float]:
    """The shared library of a scheduled module (``tvm.ir.save_json``), and when linking began, in Unix seconds.

    The library's entry is the module's ``main``.

    Raises what TVM raises for a schedule that cannot be lowered, and LinkError.
    """
    target = tvm.target.Target(target_json)
    module = RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(tvm.ir.load_json(module_json))
    built = tvm.tirx.build(module, target=target)
    with tempfile.TemporaryDirectory(prefix="tvm-farm-build-") as folder:
        code, library = Path(folder, "kernel.o"), Path(folder, "kernel.so")
        built.write_to_file(str(code))
        compiled_s = time.time()
        link(library, [code])
        return library.read_bytes(), compiled_s


def _with_a_kernel(module: tvm.ir.IRModule) -> tvm.ir.IRModule:
    """TVM packs an executable without kernels as C source, for a C compiler to link: it gets one that nobody calls."""
    if any(isinstance(function, tvm.tirx.PrimFunc) for function in module.functions.values()):
        return module
    given = tvm.te.placeholder((1,), "int8")
    copied = tvm.te.compute((1,), lambda at: given[at])
    kernel = tvm.te.create_prim_func([given, copied]).with_attr("global_symbol", "unused")
    whole = module.clone()
    whole["unused"] = kernel
    return whole


def build_model(module: tvm.ir.IRModule, target: tvm.target.Target) -> bytes:
    """The shared library of a fused Relax module: a VM executable with its kernels.

    Raises what TVM raises, and LinkError.
    """
    executable = tvm.compile(_with_a_kernel(module), target)
    with tempfile.TemporaryDirectory(prefix="tvm-farm-build-") as folder:
        library = Path(folder, "model.so")

        def finish(name: str, objects: list[str], **_: object) -> None:
            link(Path(name), [Path(code) for code in objects])

        finish.object_format = "o"  # type: ignore[attr-defined]  # how export_library learns what to write
        executable.export_library(str(library), fcompile=finish)
        return library.read_bytes()
