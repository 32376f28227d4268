"""Reductions over axes of every version, running sums and products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.casting import cast_to
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import HALVES, constant, pointwise, reshaped

__all__ = ["axes_of", "maximum", "mean"]

_FLOATS = (*HALVES, "float32", "float64")
#: Reductions by a sum: what is done to each element before, and to each sum behind.
_SUMS: dict[str, tuple[Callable[[Any], Any] | None, Callable[[Any], Any] | None]] = {
    "ReduceSum": (None, None),
    "ReduceL1": (tirx.abs, None),
    "ReduceSumSquare": (lambda x: x * x, None),
    "ReduceL2": (lambda x: x * x, tirx.sqrt),
    "ReduceLogSum": (None, tirx.log),
}
#: Of integers, computed in float64.
_OF_REALS = ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp")


@converter(*_SUMS, "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceLogSumExp")
def reduction(node: Node) -> Value:
    kind, axes, keep = node.dtype(0), axes_of(node), bool(node.attribute("keepdims", 1))
    value = node.value(0)
    if kind == "bool":  # of Max and Min alone
        return cast_to(node, _reduced(node, cast_to(node, value, "uint8"), axes, keep), "bool")
    if kind in HALVES:
        value = cast_to(node, value, "float32")
    elif kind not in _FLOATS and node.op in _OF_REALS:
        value = cast_to(node, value, "float64")
    return cast_to(node, _reduced(node, value, axes, keep), kind)


@converter("LpNormalization")
def lp_normalization(node: Node) -> Value:
    """Zero where the norm is."""
    value, kind, order = cast_to(node, node.value(0), _wide(node.dtype(0))), node.dtype(0), node.attribute("p", 2)
    before = tirx.abs if order == 1 else (lambda x: x * x)
    norm = node.emit(relax.op.sum(pointwise(node, before, value), [node.attribute("axis", -1)], keepdims=True))

    def element(x: Any, total: Any) -> Any:
        zero = total == constant(0, total)
        size = total if order == 1 else tirx.sqrt(total)
        return tirx.Select(zero, constant(0, x), x / tirx.Select(zero, constant(1, x), size))

    return cast_to(node, pointwise(node, element, value, norm), kind)


@converter("CumSum", "CumProd")
def running(node: Node) -> Value:
    rank, kind = len(node.shape(0)), node.dtype(0)
    axis = int(node.constant(1, "its axis").item()) % rank
    compute = relax.op.cumsum if node.op == "CumSum" else relax.op.cumprod
    value = as_expression(cast_to(node, node.value(0), _wide(kind)))
    backwards = bool(node.attribute("reverse", 0))
    if backwards:
        value = node.emit(relax.op.flip(value, axis))
    value = node.emit(compute(value, axis, exclusive=bool(node.attribute("exclusive", 0))))
    if backwards:
        value = node.emit(relax.op.flip(value, axis))
    return cast_to(node, value, kind)


def axes_of(node: Node) -> list[int]:
    """Axes of a reduction, counted from the front; none where it reduces nothing."""
    rank = len(node.shape(0))
    if node.has(1):
        given: Sequence[int] | None = node.constant(1, "its axes").reshape(-1).tolist()
    else:
        given = node.attribute("axes")
    if not given:
        return [] if node.attribute("noop_with_empty_axes", 0) else list(range(rank))
    if not all(-rank <= axis < rank for axis in given):
        raise Refused(f"its axes {list(given)} are not among the {rank} dimensions of its input")
    return sorted({int(axis) % rank for axis in given})


def maximum(node: Node, value: Value, axes: Sequence[int], keep: bool, lowest: bool = False) -> Value:
    """Of floats; -inf where all are (TVM begins with the greatest finite number). ``lowest``: the minimum."""
    pick, begin = (tirx.min, np.inf) if lowest else (tirx.max, -np.inf)
    best = te.comm_reducer(lambda x, y: pick(x, y), lambda dtype: tirx.const(begin, dtype), name="extreme")
    sizes = shape_of(value)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(sizes))

    def program(x: te.Tensor) -> te.Tensor:
        over = {axis: te.reduce_axis((0, sizes[axis]), name=f"k{axis}") for axis in axes}
        return te.compute(
            kept,
            lambda *at: best(x(*(over.get(axis, place) for axis, place in enumerate(at))), axis=list(over.values())),
            name="extreme",
        )

    found = node.te(program, value, name=node.op.lower())
    return found if keep else reshaped(node, found, [s for axis, s in enumerate(sizes) if axis not in axes])


def mean(node: Node, value: Value, axes: Sequence[int], keep: bool) -> Value:
    """Of floats, or of integers rounded towards zero."""
    count = int(np.prod([shape_of(value)[axis] for axis in axes], dtype=np.int64))
    total = node.emit(relax.op.sum(as_expression(value), list(axes), keepdims=keep))
    if dtype_of(value) in _FLOATS:
        return node.emit(relax.op.multiply(total, relax.const(1 / count, dtype_of(value))))
    return pointwise(node, lambda x: tirx.truncdiv(x, constant(count, x)), total)


def _reduced(node: Node, value: Value, axes: Sequence[int], keep: bool) -> Value:
    if node.op in _SUMS:
        before, behind = _SUMS[node.op]
        value = pointwise(node, before, value) if before else value
        value = node.emit(relax.op.sum(as_expression(value), list(axes), keepdims=keep)) if axes else value
        return pointwise(node, behind, value) if behind else value
    if not axes:
        return value
    if node.op == "ReduceMean":
        return mean(node, value, axes, keep)
    if node.op == "ReduceLogSumExp":
        return _log_sum_exp(node, value, axes, keep)
    if node.op != "ReduceProd" and dtype_of(value) in _FLOATS:
        return maximum(node, value, axes, keep, lowest=node.op == "ReduceMin")
    compute = {"ReduceProd": relax.op.prod, "ReduceMax": relax.op.max, "ReduceMin": relax.op.min}[node.op]
    return node.emit(compute(as_expression(value), list(axes), keepdims=keep))


def _log_sum_exp(node: Node, value: Value, axes: Sequence[int], keep: bool) -> Value:
    """Without overflow: the greatest element is taken out first, unless it is infinite."""
    greatest = maximum(node, value, axes, True)
    finite = pointwise(node, lambda x: tirx.Select(tirx.isfinite(x), x, constant(0, x)), greatest)
    terms = pointwise(node, lambda x, top: tirx.exp(x - top), value, finite)
    total = node.emit(relax.op.sum(terms, list(axes), keepdims=True))
    found = pointwise(node, lambda sum_, top: tirx.log(sum_) + top, total, finite)
    kept = shape_of(found) if keep else [s for axis, s in enumerate(shape_of(value)) if axis not in axes]
    return reshaped(node, found, kept)


def _wide(dtype: str) -> str:
    return "float32" if dtype in HALVES else dtype
