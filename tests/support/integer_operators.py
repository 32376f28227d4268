"""A Python file: operators whose integers index or divide, functions that make inputs, and what cannot be tuned."""

from __future__ import annotations

__all__ = ["INTEGER_OPERATORS", "line_of"]

INTEGER_OPERATORS = """\
import numpy as np
import tvm
from tvm import te, topi
from tvm.script import ir as I
from tvm.script import tirx as T


def rows(V=100, D=16, N=128):
    table = te.placeholder((V, D), name="table")
    which = te.placeholder((N,), "int32", "which")
    return [table, which, te.compute((N, D), lambda i, j: table[which[i], j], "out")]


def chosen(V=100, N=8):
    return rows(V, 4, N)


def chosen_inputs(rng, V, **others):
    return {"which": rng.integers(0, V, others["N"]).astype("int32")}


def picky(N=64):
    # Nobody derives that the divisors 0 and 1 are none.
    a = te.placeholder((N,), "int32", "a")
    b = te.placeholder((N,), "int32", "b")
    return [a, b, te.compute((N,), lambda i: tvm.tirx.floordiv(a[i], b[i] * (b[i] - 1)), "q")]


def sparse(M=16, K=32, N=8, NNZ=64):
    pointers = te.placeholder((M + 1,), "int32", "pointers")
    places = te.placeholder((NNZ,), "int32", "places")
    values = te.placeholder((NNZ,), name="values")
    dense = te.placeholder((K, N), name="dense")

    def element(i, j):
        r = te.reduce_axis((0, pointers[i + 1] - pointers[i]), "r")
        return te.sum(values[pointers[i] + r] * dense[places[pointers[i] + r], j], axis=r)

    return [pointers, places, values, dense, te.compute((M, N), element, "out")]


def no_number(N=256):
    a = te.placeholder((N,), name="a")
    return [a, te.compute((N,), lambda i: te.log(a[i] - 100.0), "out")]


def same_names(N=16):
    a, b = te.placeholder((N, N), name="A"), te.placeholder((N, N), name="A")
    return [a, b, te.compute((N, N), lambda i, j: a[i, j] - b[i, j], "C")]


@T.prim_func(s_tir=True)
def restless(out: T.Buffer((16,), "int32")):
    for i in T.grid(16):
        with T.sblock("out"):
            vi = T.axis.spatial(16, i)
            out[vi] = T.call_extern("int32", "getpid")


@I.ir_module
class Two:
    @T.prim_func(s_tir=True)
    def double(a: T.Buffer((8,), "float32"), out: T.Buffer((8,), "float32")):
        for i in T.grid(8):
            with T.sblock("double"):
                vi = T.axis.spatial(8, i)
                out[vi] = a[vi] + a[vi]

    @T.prim_func(s_tir=True)
    def half(a: T.Buffer((4,), "float32"), out: T.Buffer((4,), "float32")):
        for i in T.grid(4):
            with T.sblock("half"):
                vi = T.axis.spatial(4, i)
                out[vi] = a[vi] * T.float32(0.5)


@T.prim_func(s_tir=True)
def gaps(a: T.handle, out: T.Buffer((8, 8), "float32")):
    A = T.match_buffer(a, (8, 8), "float32", strides=(16, 1))
    for i, j in T.grid(8, 8):
        with T.sblock("gaps"):
            vi, vj = T.axis.remap("SS", [i, j])
            out[vi, vj] = A[vi, vj] + T.float32(1)


def found(N=64, M=8):
    s, v = te.placeholder((N,), name="s"), te.placeholder((M,), name="v")
    return [s, v, topi.searchsorted(s, v, right=False)]


def best(M=4, N=16):
    a = te.placeholder((M, N), name="a")
    return [a, topi.topk(a, k=3, axis=1, ret_type="values", is_ascend=False)]


def summed(M=4, N=16):
    a = te.placeholder((M, N), name="a")
    return [a, topi.cumsum(a, axis=1)]


def scanned(T=8, N=16):
    x = te.placeholder((T, N), name="x")
    state = te.placeholder((T, N))
    first = te.compute((1, N), lambda _, i: x[0, i])
    update = te.compute((T, N), lambda t, i: state[t - 1, i] + x[t, i])
    return [x, te.scan(first, update, state, inputs=[x])]


def raises():
    return chosen()


def raises_inputs(rng):
    return 1 // 0


def gives_none():
    return chosen()


def gives_none_inputs(rng):
    pass


def gives_text():
    return chosen()


def gives_text_inputs(rng):
    return {"which": "all of them"}


def gives_another_shape():
    return chosen()


def gives_another_shape_inputs(rng):
    return {"which": np.zeros(3, "int32")}


def gives_another_name():
    return chosen()


def gives_another_name_inputs(rng):
    return {"witch": np.zeros(8, "int32")}
"""


def line_of(text: str) -> int:
    """The number of the first line that holds ``text``."""
    return next(number for number, line in enumerate(INTEGER_OPERATORS.splitlines(), 1) if text in line)
