"""Candidates to build."""

from __future__ import annotations

import tvm
from tvm import te

TARGET = '{"kind":"llvm","mtriple":"x86_64-linux-gnu","mcpu":"x86-64-v2","num-cores":2}'


def matmul(size: int) -> str:
    a, b = te.placeholder((size, size), name="A"), te.placeholder((size, size), name="B")
    k = te.reduce_axis((0, size), name="k")
    c = te.compute((size, size), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="C")
    return str(
        tvm.ir.save_json(tvm.IRModule({"main": te.create_prim_func([a, b, c]).with_attr("global_symbol", "main")}))
    )


def unrolled(size: int) -> str:
    """A matmul written out in full: LLVM needs minutes for it."""
    schedule = tvm.s_tir.Schedule(tvm.ir.load_json(matmul(size)))
    for loop in schedule.get_loops(schedule.get_sblock("C")):
        schedule.unroll(loop)
    return str(tvm.ir.save_json(schedule.mod))
