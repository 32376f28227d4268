"""Operators that look things up by numbers among their inputs, and that order or count."""

from __future__ import annotations

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.values import Refused, Value

__all__: list[str] = []


@converter("GATHER", quantized=None)
def gather(node: Node) -> relax.Expr:
    """``batchDims`` leading axes are walked together: a slice has indices of its own."""
    shape, indices = node.source(0).shape, node.source(1).shape
    axis, together = int(node.option("axis")), int(node.option("batchDims"))
    axis += len(shape) if axis < 0 else 0
    together += len(indices) if together < 0 else 0
    if not together:
        return relax.op.take(node.tensor(0), _int32(node, 1), axis=axis, mode="clip")
    inner = len(indices) - together

    def looked_up(table: te.Tensor, numbers: te.Tensor) -> te.Tensor:
        def at(*place: tirx.Var) -> tirx.Expr:
            index = numbers(*place[:together], *place[axis : axis + inner])
            return table(*place[:axis], index, *place[axis + inner :])

        return te.compute(node.outputs[0].shape, at)

    return node.te(looked_up, node.tensor(0), _int32(node, 1))


@converter("EMBEDDING_LOOKUP")
def embedding_lookup(node: Node) -> relax.Expr:
    return relax.op.take(node.tensor(1), _int32(node, 0), axis=0, mode="clip")


@converter("GATHER_ND", quantized=None)
def gather_nd(node: Node) -> relax.Expr:
    depth = node.source(1).shape[-1]

    def looked_up(table: te.Tensor, numbers: te.Tensor) -> te.Tensor:
        leading = len(numbers.shape) - 1

        def at(*place: tirx.Var) -> tirx.Expr:
            found = [numbers(*place[:leading], number) for number in range(depth)]
            return table(*found, *place[leading:])

        return te.compute(node.outputs[0].shape, at)

    return node.te(looked_up, node.tensor(0), _int32(node, 1))


@converter("ONE_HOT")
def one_hot(node: Node) -> relax.Expr:
    """Of an index beyond ``depth`` no element is hot."""
    node.constant(1, "its depth")
    axis = int(node.option("axis", -1))
    axis = len(node.source(0).shape) if axis == -1 else axis

    def hot(numbers: te.Tensor, on: te.Tensor, off: te.Tensor) -> te.Tensor:
        def at(*place: tirx.Var) -> tirx.Expr:
            found = numbers(*place[:axis], *place[axis + 1 :])
            return tirx.Select(found == place[axis].astype(numbers.dtype), on(), off())

        return te.compute(node.outputs[0].shape, at)

    return node.te(hot, node.tensor(0), node.tensor(2), node.tensor(3))


@converter("TOPK_V2")
def topk(node: Node) -> list[Value]:
    count = int(node.constant(1, "its count").reshape(-1)[0])
    both = node.emit(relax.op.topk(node.tensor(0), count, axis=-1, dtype=node.outputs[1].dtype))
    return [node.emit(relax.TupleGetItem(both, at)) for at in (0, 1)]


@converter("ARG_MAX", "ARG_MIN", quantized=None)
def arg(node: Node) -> relax.Expr:
    """The first of several that are alike. Of quantized numbers it is that of the integers."""
    axis = int(node.constant(1, "its axis").reshape(-1)[0])
    compute = relax.op.argmax if node.op == "ARG_MAX" else relax.op.argmin
    return relax.op.astype(compute(node.tensor(0), axis=axis), node.outputs[0].dtype)


@converter("CUMSUM")
def cumsum(node: Node) -> relax.Expr:
    axis = int(node.constant(1, "its axis").reshape(-1)[0])
    backwards, exclusive = bool(node.option("reverse", False)), bool(node.option("exclusive", False))
    data = node.tensor(0)
    if backwards:
        data = node.emit(relax.op.flip(data, axis))
    result = node.emit(relax.op.cumsum(data, axis=axis, exclusive=exclusive))
    return relax.op.flip(result, axis) if backwards else result


@converter("REVERSE_SEQUENCE")
def reverse_sequence(node: Node) -> relax.Expr:
    along, over = int(node.option("seqDim")), int(node.option("batchDim"))

    def turned(data: te.Tensor, lengths: te.Tensor) -> te.Tensor:
        def at(*place: tirx.Var) -> tirx.Expr:
            length = lengths(place[over]).astype("int64")
            step = place[along].astype("int64")
            step = tirx.Select(step < length, length - 1 - step, step)
            return data(*place[:along], step, *place[along + 1 :])

        return te.compute(data.shape, at)

    return node.te(turned, node.tensor(0), node.tensor(1))


@converter("SCATTER_ND")
def scatter_nd(node: Node) -> relax.Expr:
    """Updates that meet are added up: so of known places alone, which tell."""
    places = node.constant(0, "its places")
    node.constant(2, "its sizes")
    shape, dtype = node.outputs[0].shape, node.outputs[0].dtype
    rows = int(np.prod(shape[: places.shape[-1]], dtype=np.int64))
    flat = np.ravel_multi_index(tuple(places.reshape(-1, places.shape[-1]).T), shape[: places.shape[-1]])
    if len(np.unique(flat)) != len(flat):
        raise Refused("several of its updates meet in one place")
    # Every row of the answer is taken from the updates, or from the row of zeros behind them.
    source = np.full(rows, len(flat), np.int32)
    source[flat] = np.arange(len(flat), dtype=np.int32)
    width = int(np.prod(shape[places.shape[-1] :], dtype=np.int64))
    updates = relax.op.reshape(node.tensor(1), (len(flat), width))
    padded = node.emit(relax.op.concat([updates, relax.op.zeros((1, width), dtype)], axis=0))
    return relax.op.reshape(relax.op.take(padded, relax.const(source), axis=0, mode="clip"), shape)


def _int32(node: Node, position: int) -> relax.Expr:
    value = node.tensor(position)
    return value if node.source(position).dtype == "int32" else node.emit(relax.op.astype(value, "int32"))
