"""Where elements go: slices, splits, sizes, masks. All places are worked out while importing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper
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
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import constant, pointwise, reshaped

__all__ = ["sliced"]


@converter("Split")
def split(node: Node) -> list[Value]:
    """Equal parts where no sizes are given; the last one is smaller where they do not come out."""
    shape, count = node.shape(0), len(node.outputs)
    axis = int(node.attribute("axis", 0)) % len(shape)
    if node.has(1):
        sizes = [int(size) for size in node.constant(1, "the sizes of its parts")]
    else:
        each = -(-shape[axis] // int(node.attribute("num_outputs", count)))
        sizes = list(node.attribute("split") or (max(0, min(each, shape[axis] - each * k)) for k in range(count)))
    if sum(sizes) != shape[axis] or len(sizes) < count:
        raise Refused(f"parts of sizes {sizes} do not make up dimension {axis} of {shape[axis]}")
    ends = np.cumsum(sizes)
    return [
        sliced(node, node.value(0), {axis: range(end - size, end)})
        for size, end in zip(sizes, ends.tolist(), strict=True)
    ]


@converter("Slice")
def slice_(node: Node) -> Value:
    shape = node.shape(0)
    if node.opset < 10:
        starts, ends, axes, steps = (node.attribute(name) for name in ("starts", "ends", "axes", "steps"))
    else:
        names = ("its starts", "its ends", "its axes", "its steps")
        given = (node.constant(k, n).reshape(-1).tolist() if node.has(k) else None for k, n in enumerate(names, 1))
        starts, ends, axes, steps = given
    axes = [axis % len(shape) for axis in (axes or range(len(starts)))]
    steps = steps or [1] * len(axes)
    places = {
        axis: range(shape[axis])[slice(begin, _end(end, step, shape[axis]), step)]
        for axis, begin, end, step in zip(axes, starts, ends, steps, strict=True)
    }
    return sliced(node, node.value(0), places)


@converter("Squeeze")
def squeeze(node: Node) -> Value:
    shape = node.shape(0)
    axes = _axes(node, len(shape))
    gone = {axis for axis, size in enumerate(shape) if size == 1} if axes is None else set(axes)
    if any(shape[axis] != 1 for axis in gone):
        raise Refused(f"it drops dimensions {sorted(gone)} of {list(shape)}, and not all of them are 1")
    return reshaped(node, node.value(0), [size for axis, size in enumerate(shape) if axis not in gone])


@converter("Unsqueeze")
def unsqueeze(node: Node) -> Value:
    count = node.constant(1, "its axes").size if node.has(1) else len(node.attribute("axes"))
    rank = len(node.shape(0)) + count
    axes = set(_axes(node, rank) or ())
    sizes = iter(node.shape(0))
    return reshaped(node, node.value(0), [1 if axis in axes else next(sizes) for axis in range(rank)])


@converter("Reshape")
def reshape(node: Node) -> Value:
    """0 keeps a size unless ``allowzero``, -1 takes what is left."""
    old = node.shape(0)
    wanted = node.constant(1, "its sizes").tolist() if node.opset >= 5 else list(node.attribute("shape"))
    if not node.attribute("allowzero", 0):
        wanted = [old[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    if -1 in wanted:
        rest = int(np.prod([size for size in wanted if size != -1], dtype=np.int64))
        wanted[wanted.index(-1)] = int(np.prod(old, dtype=np.int64)) // max(rest, 1)
    if np.prod(old, dtype=np.int64) != np.prod(wanted, dtype=np.int64):
        raise Refused(f"sizes {wanted} do not hold the elements of {list(old)}")
    return reshaped(node, node.value(0), wanted)


@converter("Concat")
def concat(node: Node) -> Value:
    rank, kind = len(node.shape(0)), node.dtype(0)
    axis = int(node.attribute("axis", 1)) % rank
    values = [node.value(k) for k in range(len(node.inputs)) if node.shape(k)[axis]]
    if len(values) < 2:
        return values[0] if values else np.zeros(node.shape(0), kind)
    return node.emit(relax.op.concat([as_expression(value) for value in values], axis))


@converter("EyeLike")
def eye_like(node: Node) -> np.ndarray:
    kind = node.attribute("dtype")
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind)).name if kind else node.dtype(0)
    rows, columns = node.shape(0)
    return np.eye(rows, columns, k=int(node.attribute("k", 0)), dtype=np.dtype(dtype))


@converter("OneHot")
def one_hot(node: Node) -> relax.Var:
    """Indices from -depth to depth - 1 count, others leave their row off."""
    depth = int(node.constant(1, "its depth").reshape(-1)[0])
    shape = node.shape(0)
    axis = int(node.attribute("axis", -1)) % (len(shape) + 1)
    whole = (*shape[:axis], depth, *shape[axis:])

    def program(indices: te.Tensor, values: te.Tensor) -> te.Tensor:
        def element(*at: Any) -> Any:
            index = indices(*at[:axis], *at[axis + 1 :]).astype("int64")
            place = at[axis].astype("int64")
            hit = tirx.Or(index == place, index + tirx.const(depth, "int64") == place)
            return tirx.Select(hit, values(1), values(0))

        return te.compute(whole, element, name="one_hot")

    return node.te(program, node.value(0), node.value(2))


@converter("TensorScatter")
def tensor_scatter(node: Node) -> relax.Var:
    """Each sample's update lies from its index on; modulo the cache's length where ``mode`` is circular."""
    shape, length = node.shape(0), node.shape(1)
    axis = int(node.attribute("axis", -2)) % len(shape)
    circular = node.attribute("mode", "linear") == "circular"
    starts = node.value(2) if node.has(2) else np.zeros(shape[0], np.int64)

    def program(past: te.Tensor, update: te.Tensor, begin: te.Tensor) -> te.Tensor:
        def element(*at: Any) -> Any:
            step = at[axis].astype("int64") - begin(at[0]).astype("int64")
            if circular:
                step = tirx.floormod(step, tirx.const(shape[axis], "int64"))
            inside = tirx.And(step >= tirx.const(0, "int64"), step < tirx.const(length[axis], "int64"))
            place = tirx.Select(inside, step, tirx.const(0, "int64"))
            new = update(*(place if each == axis else at[each] for each in range(len(at))))
            return tirx.Select(inside, new, past(*at))

        return te.compute(shape, element, name="tensor_scatter")

    return node.te(program, node.value(0), node.value(1), starts)


@converter("Trilu")
def trilu(node: Node) -> Value:
    rows, columns = node.shape(0)[-2:]
    upper = bool(node.attribute("upper", 1))
    place = np.arange(columns)[None, :] - np.arange(rows)[:, None]
    if not node.has(1) or node.known(1) is not None:
        k = int(node.constant(1, "its diagonal").item()) if node.has(1) else 0
        kept: Value = place >= k if upper else place <= k
    else:
        rule = (lambda at, k: at >= k) if upper else (lambda at, k: at <= k)
        kept = pointwise(node, rule, place, reshaped(node, node.value(1), ()))
    return pointwise(node, lambda keep, x: tirx.Select(keep, x, constant(0, x)), kept, node.value(0))


@converter("Expand")
def expand(node: Node) -> Value:
    shape = tuple(np.broadcast_shapes(node.shape(0), tuple(node.constant(1, "its sizes").tolist())))
    if shape == node.shape(0):
        return node.value(0)
    value = reshaped(node, node.value(0), (*(1,) * (len(shape) - len(node.shape(0))), *node.shape(0)))
    return node.emit(relax.op.broadcast_to(as_expression(value), shape))


@converter("Where")
def where(node: Node) -> relax.Var:
    return pointwise(node, tirx.Select, *(node.value(number) for number in range(3)))


def sliced(node: Node, value: Value, places: dict[int, range]) -> Value:
    """``value`` at ``places`` of some of its axes, each a range of indices."""
    shape = shape_of(value)
    places = {axis: taken for axis, taken in places.items() if taken != range(shape[axis])}
    kept = [len(places.get(axis, range(size))) for axis, size in enumerate(shape)]
    if 0 in kept:
        return np.zeros(kept, _array_dtype(value))
    if not places:
        return value
    if any(taken.step < 0 for taken in places.values()):
        return node.te(lambda x: _strided(x, kept, places), value, name="slice")
    axes, ranges = list(places), list(places.values())
    begin, end, step = ([getattr(each, name) for each in ranges] for name in ("start", "stop", "step"))
    return node.emit(relax.op.strided_slice(as_expression(value), axes, begin, end, step))


def _strided(x: te.Tensor, shape: Sequence[int], places: dict[int, range]) -> te.Tensor:
    def element(*at: Any) -> Any:
        return x(*(p * places[k].step + places[k].start if k in places else p for k, p in enumerate(at)))

    return te.compute(tuple(shape), element, name="slice")


def _end(end: int, step: int, size: int) -> int | None:
    """As Python slices have it: backwards, what lies before the first element is told by None."""
    return None if step < 0 and end < -size else end


def _axes(node: Node, rank: int) -> list[int] | None:
    given = node.constant(1, "its axes").reshape(-1).tolist() if node.has(1) else node.attribute("axes")
    return None if given is None else [int(axis) % rank for axis in given]


def _array_dtype(value: Value) -> Any:
    return value.dtype if isinstance(value, np.ndarray) else np.dtype(dtype_of(value))
