"""Two kernels that ask a CPU for its most: fused multiply-adds out of registers, and a stream through memory.

McCalpin's STREAM triad is the second (``a[i] = b[i] + s * c[i]``, https://www.cs.virginia.edu/stream/). Both are
written as a schedule leaves a kernel: parallel over parts, vectors of the target's width inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import tvm
from tvm.script import tirx as T
from tvm.target import codegen

from tvm_farm.tracker.domain import Workload
from tvm_farm.tracker.tuning.models.graph import workload_key

__all__ = ["PeakKernel", "arithmetic_kernel", "memory_kernel"]

#: Parts that are run in parallel: of 1 to 6, 8, 10, 12, 16 … cores each gets the same number.
_PARTS = 480
#: Operations of a call: half a second of a board with 1 GFLOP/s, half a millisecond of a machine with a thousand.
_OPERATIONS = 500e6
#: Elements of each of the three arrays: 32 MiB, beyond the caches of boards.
_STREAMED = 8 << 20


@dataclass(frozen=True)
class PeakKernel:
    """``work``: operations of one call, or bytes that it moves."""

    workload: Workload
    module: tvm.ir.IRModule
    work: float


def arithmetic_kernel(target: tvm.target.Target) -> PeakKernel:
    """Sums in registers, each step adding to each a multiple of the next one: as many as hide the latency of the
    pipelines, and no two operations that wait for each other side by side.
    """
    lanes = _lanes(target)
    sums = 20 if _registers(target, lanes) >= 32 else 12
    width = sums * lanes
    steps = int(_OPERATIONS / (2 * _PARTS * width))

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def main(
        start: T.Buffer((_PARTS, width), "float32"),  # type: ignore[valid-type]
        factor: T.Buffer((lanes,), "float32"),  # type: ignore[valid-type]
        end: T.Buffer((_PARTS, width), "float32"),  # type: ignore[valid-type]
    ) -> None:
        T.func_attr({"tirx.noalias": True})
        for p in T.parallel(_PARTS):
            with T.sblock("part"):
                part = T.axis.spatial(_PARTS, p)
                T.reads(start[part, 0:width], factor[0:lanes])
                T.writes(end[part, 0:width])
                held = T.alloc_buffer((width,), "float32", scope="local")
                small = T.alloc_buffer((lanes,), "float32", scope="local")
                for v in T.vectorized(lanes):
                    small[v] = factor[v] * T.float32(1e-4)  # nothing grows beyond what a float holds
                for c in T.unroll(sums):
                    for v in T.vectorized(lanes):
                        held[c * lanes + v] = start[part, c * lanes + v]
                for _ in range(steps):
                    for c in T.unroll(sums):
                        for v in T.vectorized(lanes):
                            held[c * lanes + v] = held[c * lanes + v] + held[(c + 1) % sums * lanes + v] * small[v]
                for c in T.unroll(sums):
                    for v in T.vectorized(lanes):
                        end[part, c * lanes + v] = held[c * lanes + v]

    work = 2.0 * _PARTS * width * steps
    return _kernel("peak_arithmetic", main, work, flops=work)


def memory_kernel(target: tvm.target.Target) -> PeakKernel:
    """Two arrays in, one out; what a cache reads before it writes is not counted, as in STREAM."""
    lanes = _lanes(target)
    vectors = _STREAMED // lanes

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def main(
        first: T.Buffer((_STREAMED,), "float32"),  # type: ignore[valid-type]
        second: T.Buffer((_STREAMED,), "float32"),  # type: ignore[valid-type]
        out: T.Buffer((_STREAMED,), "float32"),  # type: ignore[valid-type]
    ) -> None:
        T.func_attr({"tirx.noalias": True})
        for i in T.parallel(vectors):
            for v in T.vectorized(lanes):
                with T.sblock("triad"):
                    at = T.axis.spatial(_STREAMED, i * lanes + v)
                    out[at] = first[at] + T.float32(3) * second[at]

    return _kernel("peak_memory", main, 3.0 * 4 * _STREAMED, flops=2.0 * _STREAMED)


def _kernel(name: str, function: tvm.tirx.PrimFunc, work: float, flops: float) -> PeakKernel:
    module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
    return PeakKernel(Workload(workload_key(module), name, str(tvm.ir.save_json(module)), flops), module, work)


def _lanes(target: tvm.target.Target) -> int:
    """Floats of a vector register. (``target.llvm_get_vector_width`` of TVM 0.27 says 512 bits for every x86-64.)"""
    triple = str(target.attrs.get("mtriple", ""))
    if triple.startswith("x86_64"):
        return 16 if _has("avx512f", target) else 8 if _has("avx", target) else 4
    if triple.startswith("aarch64") or (triple.startswith("arm") and _has("neon", target)):
        return 4
    return 1


def _registers(target: tvm.target.Target, lanes: int) -> int:
    """AVX-512, AArch64 and RISC-V have 32, else 16 is what may be counted on."""
    triple = str(target.attrs.get("mtriple", ""))
    return 32 if lanes == 16 or triple.startswith(("aarch64", "riscv")) else 16


def _has(feature: str, target: tvm.target.Target) -> bool:
    return bool(codegen.llvm_cpu_has_features(feature, target))
