"""Kernels and a small model compiled by real TVM, for tests of what executes them.

Each is built once a test session, into one folder. All take one or more tensors and write to the last.
"""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import tvm
import tvm.tirx
from tvm import relax, te
from tvm.script import ir as I
from tvm.script import relax as R
from tvm.script import tirx as T

from tvm_farm.tracker.tuning.building.toolchain import link

__all__ = [
    "HOST",
    "MODEL_SIZE",
    "OTHERS",
    "build",
    "copy",
    "kernel",
    "matmul",
    "model",
    "model_params",
    "scratch",
    "splitmix",
    "splitmix_uniform",
]

#: Every x86-64 of the last ten years, so that these also run where they were not built.
HOST = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3"}
#: What the tracker derives for boards of these kinds.
OTHERS = {
    "aarch64": {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a53"},
    "armv7l": {"kind": "llvm", "mtriple": "armv7l-linux-gnueabihf", "mcpu": "cortex-a9", "mattr": ["+neon"]}
    | {"mfloat-abi": "hard"},
    "riscv64": {"kind": "llvm", "mtriple": "riscv64-linux-gnu", "mcpu": "generic-rv64", "mabi": "lp64d"}
    | {"mattr": ["+m", "+a", "+f", "+d", "+c"]},
}
MODEL_SIZE = 16


@cache
def _folder() -> Path:
    folder = Path(mkdtemp(prefix="tvm-farm-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def build(module: tvm.IRModule, name: str, target: dict[str, object] | None = None) -> Path:
    """The shared library of a TIR module whose entry is ``main``."""
    built = tvm.tirx.build(module, target=tvm.target.Target(target or HOST))
    code, library = _folder() / f"{name}.o", _folder() / f"{name}.so"
    built.write_to_file(str(code))
    link(library, [code])
    return library


@cache
def matmul(size: int, dtype: str = "float32", arch: str = "") -> Path:
    """(size, size) x (size, size) -> (size, size): parallel over rows, vectorized over columns. ``arch``: of OTHERS."""
    a, b = te.placeholder((size, size), dtype, "a"), te.placeholder((size, size), dtype, "b")
    k = te.reduce_axis((0, size), "k")
    c = te.compute((size, size), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), "c")
    schedule = tvm.s_tir.Schedule(tvm.IRModule({"main": te.create_prim_func([a, b, c])}))
    block = schedule.get_sblock("c")
    row, column, inner = schedule.get_loops(block)
    outer, vector = schedule.split(column, [None, 8])
    schedule.reorder(row, outer, inner, vector)
    schedule.vectorize(vector)
    schedule.parallel(row)
    schedule.decompose_reduction(block, inner)
    return build(schedule.mod, f"matmul_{size}_{dtype}{arch}", OTHERS[arch] if arch else None)


@cache
def copy(dtype: str) -> Path:
    """(64,) -> (64,) of ``dtype``."""
    a = te.placeholder((64,), dtype, "a")
    b = te.compute((64,), lambda i: a[i], "b")
    return build(tvm.IRModule({"main": te.create_prim_func([a, b])}), f"copy_{dtype}")


@cache
def kernel(name: str) -> Path:
    """One of the misbehaving or telling kernels below, by its name; each takes an int32 tensor of shape (4,).

    ``trail`` takes the path of a file before it, and adds a byte to that file at every call. ``slow_trail`` takes
    10 ms for it, ``slower_trail`` 60 ms. ``where`` writes the number of the CPU that it runs on, and takes 10 ms.
    """
    return build(tvm.IRModule({"main": _KERNELS[name]}), name)


@T.prim_func(s_tir=True)
def _count(a: T.Buffer((4,), "int32")) -> None:
    a[0] = a[0] + 1


@T.prim_func(s_tir=True)
def _crash(a: T.Buffer((4,), "int32")) -> None:
    a[0] = T.call_extern("int32", "raise", 11)


@T.prim_func(s_tir=True)
def _exit(a: T.Buffer((4,), "int32")) -> None:
    T.evaluate(T.call_extern("int32", "_exit", 3))


@T.prim_func(s_tir=True)
def _hang(a: T.Buffer((4,), "int32")) -> None:
    while a[0] < 100:
        a[1] = T.call_extern("int32", "usleep", 1000)


@T.prim_func(s_tir=True)
def _fork_and_hang(a: T.Buffer((4,), "int32")) -> None:
    a[0] = T.call_extern("int32", "fork")
    while a[1] < 100:
        a[2] = T.call_extern("int32", "usleep", 1000)


@T.prim_func(s_tir=True)
def _print(a: T.Buffer((4,), "int32")) -> None:
    a[0] = T.call_extern("int32", "dprintf", 1, "noise on standard output\n")
    a[1] = T.call_extern("int32", "puts", "more of it")
    a[2] = T.call_extern("int32", "fflush", 0)
    a[3] = 7


@T.prim_func(s_tir=True)
def _print_and_crash(a: T.Buffer((4,), "int32")) -> None:
    a[0] = T.call_extern("int32", "dprintf", 2, "the reason\n")
    a[1] = T.call_extern("int32", "raise", 6)


@T.prim_func(s_tir=True)
def _sleep(a: T.Buffer((4,), "int32")) -> None:
    a[0] = a[0] + 1
    a[1] = T.call_extern("int32", "usleep", 10000)


@T.prim_func(s_tir=True)
def _where(a: T.Buffer((4,), "int32")) -> None:
    a[0] = T.call_extern("int32", "sched_getcpu")
    a[1] = T.call_extern("int32", "usleep", 10000)


@T.prim_func(s_tir=True)
def _trail(path: T.Buffer((256,), "int8"), a: T.Buffer((4,), "int32")) -> None:
    a[0] = T.call_extern("int32", "open", T.address_of(path[0]), 1025)  # O_WRONLY | O_APPEND
    a[1] = T.call_extern("int32", "write", a[0], T.address_of(path[0]), 1)
    a[2] = T.call_extern("int32", "close", a[0])


@T.prim_func(s_tir=True)
def _slow_trail(path: T.Buffer((256,), "int8"), a: T.Buffer((4,), "int32")) -> None:
    a[0] = T.call_extern("int32", "open", T.address_of(path[0]), 1025)  # O_WRONLY | O_APPEND
    a[1] = T.call_extern("int32", "write", a[0], T.address_of(path[0]), 1)
    a[2] = T.call_extern("int32", "close", a[0])
    a[3] = T.call_extern("int32", "usleep", 10000)


@T.prim_func(s_tir=True)
def _slower_trail(path: T.Buffer((256,), "int8"), a: T.Buffer((4,), "int32")) -> None:
    a[0] = T.call_extern("int32", "open", T.address_of(path[0]), 1025)  # O_WRONLY | O_APPEND
    a[1] = T.call_extern("int32", "write", a[0], T.address_of(path[0]), 1)
    a[2] = T.call_extern("int32", "close", a[0])
    a[3] = T.call_extern("int32", "usleep", 60000)


_KERNELS: dict[str, Callable[..., object]] = {
    "count": _count,
    "crash": _crash,
    "exit": _exit,
    "fork_and_hang": _fork_and_hang,
    "hang": _hang,
    "print": _print,
    "print_and_crash": _print_and_crash,
    "sleep": _sleep,
    "slow_trail": _slow_trail,
    "slower_trail": _slower_trail,
    "trail": _trail,
    "where": _where,
}


@cache
def scratch(megabytes: int, arch: str = "") -> Path:
    """(4,) -> (4,) by way of that much scratch memory. ``arch``: of OTHERS."""
    size = megabytes << 18
    a = te.placeholder((4,), "float32", "a")
    large = te.compute((size,), lambda i: a[i % 4] * 2.0, "large")
    b = te.compute((4,), lambda i: large[i] + large[size - 4 + i], "b")
    module = tvm.IRModule({"main": te.create_prim_func([a, b])})
    return build(module, f"scratch_{megabytes}{arch}", OTHERS[arch] if arch else None)


@I.ir_module
class _Model:
    @R.function
    def main(
        x: R.Tensor((MODEL_SIZE, MODEL_SIZE), "float32"), w: R.Tensor((MODEL_SIZE, MODEL_SIZE), "float32")
    ) -> R.Tuple(R.Tensor((MODEL_SIZE, MODEL_SIZE), "float32"), R.Tuple(R.Tensor((MODEL_SIZE, MODEL_SIZE), "float32"))):
        with R.dataflow():
            y = R.matmul(x, w)
            z = R.nn.relu(R.subtract(y, R.const(4.0, "float32")))
            R.output(y, z)
        return (y, (z,))


@cache
def model() -> Path:
    """A Relax VM executable: main(x, w) -> (x @ w, (relu(x @ w - 4),))."""
    library = _folder() / "model.so"

    def finish(name: str, objects: list[str], **_: object) -> None:
        link(Path(name), [Path(code) for code in objects])

    finish.object_format = "o"  # type: ignore[attr-defined]  # how export_library learns what to write
    lowered = relax.get_pipeline("zero")(_Model)
    tvm.compile(lowered, tvm.target.Target(HOST)).export_library(str(library), fcompile=finish)
    return library


@cache
def model_params() -> tuple[Path, np.ndarray]:
    """A parameter file with the tensor ``w`` among others, and its values."""
    w = np.random.default_rng(7).random((MODEL_SIZE, MODEL_SIZE), dtype="float32")
    path = _folder() / "model.params"
    params = {"bias": np.arange(5, dtype="int64"), "w": w}
    tvm.runtime.save_param_dict_to_file({name: tvm.runtime.tensor(value) for name, value in params.items()}, str(path))
    return path, w


def splitmix(seed: int, count: int) -> np.ndarray:
    """The numbers behind a runner's fill, by the description of splitmix64 rather than by the runner's code."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def splitmix_uniform(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """What a runner fills a float32 tensor with."""
    drawn = splitmix(seed, int(np.prod(shape))) >> np.uint64(40)
    return (drawn.astype("float32") / np.float32(1 << 24)).reshape(shape)
