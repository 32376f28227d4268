"""Which elements are the greatest or the least, and where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, as_expression, converter, dtype_of
from tvm_farm.tracker.tuning.models.importers.onnx.operators.casting import cast_to
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import HALVES, pointwise, reshaped

#: What TVM's sorting knows as it is.
_SORTED = ("float32", "float64", "int32", "int64")
_SIGN = 1 << 63


@converter("ArgMax", "ArgMin")
def extreme_place(node: Node) -> Value:
    """The first of the greatest (least) elements, or the last; TVM's own finds none where all are infinite."""
    shape, kind = node.shape(0), node.dtype(0)
    axis = int(node.attribute("axis", 0)) % len(shape)
    last, greatest = bool(node.attribute("select_last_index", 0)), node.op == "ArgMax"

    def combine(x: Any, y: Any) -> Any:
        better = x[1] > y[1] if greatest else x[1] < y[1]
        earlier = x[0] > y[0] if last else x[0] < y[0]
        taken = tirx.Or(better, tirx.And(x[1] == y[1], earlier))
        return tirx.Select(taken, x[0], y[0]), tirx.Select(taken, x[1], y[1])

    def identity(_: str, dtype: str) -> Any:
        if "float" in dtype:
            worst = -tirx.infinity(dtype) if greatest else tirx.infinity(dtype)
        else:
            worst = tirx.min_value(dtype) if greatest else tirx.max_value(dtype)
        return tirx.const(-1 if last else np.iinfo(np.int64).max, "int64"), worst

    best = te.comm_reducer(combine, identity, name=node.op.lower())
    kept = (*shape[:axis], 1, *shape[axis + 1 :])

    def program(x: te.Tensor) -> te.Tensor:
        over = te.reduce_axis((0, shape[axis]), name="k")
        return te.compute(
            kept,
            lambda *at: best((over.var.astype("int64"), x(*at[:axis], over, *at[axis + 1 :])), axis=over),
            name=node.op.lower(),
        )[0]

    found = node.te(program, cast_to(node, node.value(0), "float32" if kind in HALVES else kind))
    return found if node.attribute("keepdims", 1) else reshaped(node, found, (*shape[:axis], *shape[axis + 1 :]))


@converter("TopK")
def top_k(node: Node) -> list[Value]:
    """Sorted whether asked for or not; of equal elements the first comes first."""
    count = int(node.constant(1, "how many it takes").item() if node.opset >= 10 else node.attribute("k"))
    kind, axis = node.dtype(0), int(node.attribute("axis", -1))
    if not 0 <= count <= node.shape(0)[axis]:
        raise Refused(f"it takes {count} of {node.shape(0)[axis]} elements")
    value = as_expression(_sortable(node, node.value(0)))
    both = node.emit(
        relax.op.topk(value, count, axis, ret_type="both", largest=bool(node.attribute("largest", 1)), dtype="int64")
    )
    values, places = (node.emit(relax.TupleGetItem(both, k)) for k in range(2))
    return [_unsorted(node, values, kind), places]


def _sortable(node: Node, value: Value) -> Value:
    """In a dtype that TVM sorts, in the same order."""
    kind = dtype_of(value)
    if kind == "uint64":
        return pointwise(node, lambda x: tirx.reinterpret("int64", x ^ tirx.const(_SIGN, "uint64")), value)
    return value if kind in _SORTED else cast_to(node, value, "float32" if kind in HALVES else "int64")


def _unsorted(node: Node, value: Value, kind: str) -> Value:
    if kind == "uint64":
        return pointwise(node, lambda x: tirx.reinterpret("uint64", x) ^ tirx.const(_SIGN, "uint64"), value)
    return cast_to(node, value, kind)
