"""A Python file with operators as a person writes them, right and wrong."""

from __future__ import annotations

__all__ = ["BROKEN", "OPERATORS", "line_of"]

OPERATORS = """\
import numpy as np
import tvm
from tvm import te
from tvm.script import ir as I
from tvm.script import tirx as T

SIZE = 96


def matmul_bias(N=SIZE, M=SIZE, K=SIZE, dtype="float32"):
    a = te.placeholder((N, K), dtype, "a")
    b = te.placeholder((K, M), dtype, "b")
    bias = te.placeholder((M,), dtype, "bias")
    k = te.reduce_axis((0, K), "k")
    c = te.compute((N, M), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), "c")
    return [a, b, bias, te.compute((N, M), lambda i, j: c[i, j] + bias[j], "out")]


@T.prim_func(s_tir=True)
def scaled(a: T.Buffer((64, 64), "float32"), out: T.Buffer((64, 64), "float32")):
    for i, j in T.grid(64, 64):
        with T.sblock("scaled"):
            vi, vj = T.axis.remap("SS", [i, j])
            out[vi, vj] = a[vi, vj] * T.float32(3)


@I.ir_module
class Both:
    @T.prim_func(s_tir=True)
    def double(a: T.Buffer((32, 32), "float32"), out: T.Buffer((32, 32), "float32")):
        for i, j in T.grid(32, 32):
            with T.sblock("double"):
                vi, vj = T.axis.remap("SS", [i, j])
                out[vi, vj] = a[vi, vj] + a[vi, vj]

    @T.prim_func(s_tir=True)
    def columns(a: T.Buffer((32, 48), "float32"), out: T.Buffer((48,), "float32")):
        for j, i in T.grid(48, 32):
            with T.sblock("columns"):
                vj, vi = T.axis.remap("SR", [j, i])
                with T.init():
                    out[vj] = T.float32(0)
                out[vj] = out[vj] + a[vi, vj]

    @T.prim_func(s_tir=True)
    def plain(a: T.Buffer((4,), "float32"), out: T.Buffer((4,), "float32")):
        for i in range(4):
            out[i] = a[i]


def inputs_and_output():
    *inputs, out = matmul_bias()
    return inputs, out


def inputs_and_outputs():
    *inputs, out = matmul_bias()
    return tuple(inputs), [out]


def script():
    return scaled


def half(N: int):
    return matmul_bias(N, dtype="float16")


def returns_nothing():
    pass


def returns_inputs():
    return matmul_bias()[:3]


def returns_numbers():
    return [1, "a"]


def lacks_an_input():
    a, b, bias, out = matmul_bias()
    return [a, b, out]


def open_dimension():
    a = te.placeholder((te.var("n"), 4), name="a")
    return [a, te.compute(a.shape, lambda i, j: a[i, j] + 1, "out")]


def fails():
    return 1 // 0


def leaves():
    raise SystemExit(3)


def imports():
    import mylib


def odd_dtype():
    a = te.placeholder((8, 4), "float8_e4m3fn", "a")
    return [a, te.compute((8, 4), lambda i, j: a[i, j], "out")]


def wrong_script():
    @T.prim_func(s_tir=True)
    def wrong(a: T.Buffer((16,), "float32")):
        for i in T.grid(16):
            with T.sblock("wrong"):
                vi = T.axis.spatial(16, i)
                a[vi] = undefined_thing[vi]
    return wrong


@T.prim_func(s_tir=True)
def without_blocks(a: T.Buffer((4,), "float32"), out: T.Buffer((4,), "float32")):
    for i in range(4):
        out[i] = a[i]


@T.prim_func(s_tir=True)
def takes_a_number(n: T.int32, out: T.Buffer((16,), "int32")):
    for i in range(16):
        with T.sblock("filled"):
            vi = T.axis.spatial(16, i)
            out[vi] = n
"""

BROKEN = "def my_matmul():\n    return [\n"


def line_of(text: str) -> int:
    """The number of the first line of OPERATORS that holds ``text``."""
    return next(number for number, line in enumerate(OPERATORS.splitlines(), 1) if text in line)
