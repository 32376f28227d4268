"""Operators that put elements elsewhere and leave them what they are, quantized or not."""

from __future__ import annotations

import numpy as np
from tvm import relax, te

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.values import Refused, Value, as_expression

__all__: list[str] = []


def _same_scale(node: Node) -> None:
    """Raises Refused where an input means other numbers by its integers than the output does."""
    output = node.outputs[0]
    for tensor in node.given:
        if tensor is None or tensor.scale is None or output.scale is None or tensor.dtype != output.dtype:
            continue
        if tensor.zero != output.zero or not np.array_equal(tensor.scale, output.scale):
            raise Refused(f"{tensor.name} is quantized otherwise than its output")


@converter("RESHAPE", "SQUEEZE", "EXPAND_DIMS", quantized=None)
def reshape(node: Node) -> relax.Expr:
    if node.op == "RESHAPE" and node.has(1):
        node.constant(1, "its sizes")
    return relax.op.reshape(node.tensor(0), node.outputs[0].shape)


@converter("TRANSPOSE", quantized=None)
def transpose(node: Node) -> relax.Expr:
    return relax.op.permute_dims(node.tensor(0), [int(axis) for axis in node.constant(1, "its axes")])


@converter("CONCATENATION")
def concatenation(node: Node) -> relax.Expr:
    if node.option("fusedActivationFunction"):
        raise Refused("it has a fused activation, which LiteRT's kernel does not take")
    return relax.op.concat([node.tensor(at) for at in range(len(node.inputs))], axis=int(node.option("axis")))


@converter("CONCATENATION", quantized=True)
def quantized_concatenation(node: Node) -> relax.Expr:
    _same_scale(node)
    return concatenation(node)


@converter("PACK", quantized=None)
def pack(node: Node) -> relax.Expr:
    axis = int(node.option("axis"))
    return relax.op.stack([node.tensor(at) for at in range(len(node.inputs))], axis=axis)


@converter("UNPACK", quantized=None)
def unpack(node: Node) -> list[Value]:
    axis = int(node.option("axis"))
    return [_taken(node, number, axis) for number in range(len(node.outputs))]


def _taken(node: Node, number: int, axis: int) -> relax.Expr:
    piece = relax.op.strided_slice(node.tensor(0), [axis], [number], [number + 1])
    return node.emit(relax.op.reshape(piece, node.outputs[number].shape))


@converter("SPLIT", quantized=None)
def split(node: Node) -> list[Value]:
    return _pieces(node, 1, int(node.constant(0, "its axis").reshape(-1)[0]))


@converter("SPLIT_V", quantized=None)
def split_v(node: Node) -> list[Value]:
    node.constant(1, "its sizes")
    return _pieces(node, 0, int(node.constant(2, "its axis").reshape(-1)[0]))


def _pieces(node: Node, position: int, axis: int) -> list[Value]:
    data, start, found = node.tensor(position), 0, []
    for tensor in node.outputs:
        end = start + tensor.shape[axis]
        found.append(node.emit(relax.op.strided_slice(data, [axis], [start], [end])))
        start = end
    return found


@converter("SLICE", quantized=None)
def cut(node: Node) -> relax.Expr:
    node.constant(2, "its sizes")
    start = [int(at) for at in node.constant(1, "its start")]
    end = [at + size for at, size in zip(start, node.outputs[0].shape, strict=True)]
    return relax.op.strided_slice(node.tensor(0), list(range(len(start))), start, end)


@converter("STRIDED_SLICE", quantized=None)
def strided_slice(node: Node) -> relax.Expr:
    """As TensorFlow's: an axis may be cut away, put in or walked backwards."""
    begin, end, stride = (node.constant(at, "its limits") for at in (1, 2, 3))
    shape = node.source(0).shape
    places: list[slice] = []
    for number in range(len(begin)):
        if _bit(node, "ellipsisMask", number):
            behind = sum(not _bit(node, "newAxisMask", at) for at in range(number + 1, len(begin)))
            places += [slice(None)] * (len(shape) - behind - len(places))
        elif not _bit(node, "newAxisMask", number):
            places.append(_place(node, number, int(begin[number]), int(end[number]), int(stride[number])))
    places += [slice(None)] * (len(shape) - len(places))
    walks = [range(size)[place] for size, place in zip(shape, places, strict=True)]
    data = as_expression(node.value(0))
    if not all(walks):
        return relax.op.zeros(node.outputs[0].shape, node.outputs[0].dtype)
    if all(walk.step == 1 or len(walk) == 1 for walk in walks):
        picked = relax.op.strided_slice(
            data, list(range(len(walks))), [walk[0] for walk in walks], [walk[-1] + 1 for walk in walks]
        )
    else:
        picked = node.te(
            lambda x: te.compute(
                [len(walk) for walk in walks],
                lambda *at: x(*[walk.start + i * walk.step for i, walk in zip(at, walks, strict=True)]),
            ),
            data,
        )
    return relax.op.reshape(node.emit(picked), node.outputs[0].shape)


def _bit(node: Node, mask: str, number: int) -> bool:
    return bool(int(node.option(mask)) >> number & 1)


def _place(node: Node, number: int, begin: int, end: int, stride: int) -> slice:
    if _bit(node, "shrinkAxisMask", number):
        return slice(begin, begin + 1 or None)
    if node.option("offset", False):  # the end counts from the start then
        end += begin
    first = None if _bit(node, "beginMask", number) else begin
    last = None if _bit(node, "endMask", number) else end
    return slice(first, last, stride)


@converter("TILE", quantized=None)
def tile(node: Node) -> relax.Expr:
    return relax.op.tile(node.tensor(0), [int(times) for times in node.constant(1, "its counts")])


@converter("BROADCAST_TO", quantized=None)
def broadcast_to(node: Node) -> relax.Expr:
    node.constant(1, "its sizes")
    return relax.op.broadcast_to(node.tensor(0), node.outputs[0].shape)


@converter("FILL", quantized=None)
def fill(node: Node) -> relax.Expr:
    node.constant(0, "its sizes")
    return relax.op.broadcast_to(node.tensor(1), node.outputs[0].shape)


@converter("REVERSE_V2", quantized=None)
def reverse(node: Node) -> relax.Expr:
    result = node.tensor(0)
    for axis in node.constant(1, "its axes").reshape(-1):
        result = node.emit(relax.op.flip(result, int(axis)))
    return result


@converter("PAD", "PADV2", quantized=None)
def pad(node: Node) -> relax.Expr:
    """With zeros, or with what ``PADV2`` names: a number as it is stored, where that is quantized."""
    widths = [int(width) for width in node.constant(1, "its widths").reshape(-1)]
    value = float(node.constant(2, "its value").reshape(-1)[0]) if node.has(2) else float(node.source(0).zero)
    return relax.op.nn.pad(node.tensor(0), widths, pad_value=value)


@converter("MIRROR_PAD", quantized=None)
def mirror_pad(node: Node) -> relax.Expr:
    widths = node.constant(1, "its widths").reshape(-1, 2)
    mode = "symmetric" if int(node.option("mode")) else "reflect"
    result = node.tensor(0)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            places = np.arange(node.source(0).shape[axis], dtype=np.int32)
            order = np.pad(places, (int(before), int(after)), mode=mode)  # type: ignore[call-overload]
            result = node.emit(relax.op.take(result, as_expression(order), axis=axis, mode="clip"))
    return result


@converter("SPACE_TO_DEPTH", quantized=None)
def space_to_depth(node: Node) -> relax.Expr:
    block = int(node.option("blockSize"))
    n, h, w, c = node.source(0).shape
    x = relax.op.reshape(node.tensor(0), (n, h // block, block, w // block, block, c))
    return relax.op.reshape(relax.op.permute_dims(x, [0, 1, 3, 2, 4, 5]), node.outputs[0].shape)


@converter("DEPTH_TO_SPACE", quantized=None)
def depth_to_space(node: Node) -> relax.Expr:
    block = int(node.option("blockSize"))
    n, h, w, c = node.source(0).shape
    x = relax.op.reshape(node.tensor(0), (n, h, w, block, block, c // block**2))
    return relax.op.reshape(relax.op.permute_dims(x, [0, 1, 3, 2, 4, 5]), node.outputs[0].shape)


@converter("SPACE_TO_BATCH_ND", quantized=None)
def space_to_batch(node: Node) -> relax.Expr:
    block = [int(size) for size in node.constant(1, "its blocks")]
    widths = node.constant(2, "its widths")
    shape = node.source(0).shape
    every = [0, 0, *(int(width) for width in widths.reshape(-1)), *[0, 0] * (len(shape) - 1 - len(block))]
    padded = [size + int(sum(width)) for size, width in zip(shape[1:], widths, strict=False)]
    x = relax.op.nn.pad(node.tensor(0), every, pad_value=float(node.source(0).zero))
    parts = [part for size, b in zip(padded, block, strict=True) for part in (size // b, b)]
    rest = list(shape[1 + len(block) :])
    x = relax.op.reshape(x, (shape[0], *parts, *rest))
    within = [2 + 2 * at for at in range(len(block))]
    across = [1 + 2 * at for at in range(len(block))]
    tail = [1 + 2 * len(block) + at for at in range(len(rest))]
    return relax.op.reshape(relax.op.permute_dims(x, [*within, 0, *across, *tail]), node.outputs[0].shape)


@converter("BATCH_TO_SPACE_ND", quantized=None)
def batch_to_space(node: Node) -> relax.Expr:
    block = [int(size) for size in node.constant(1, "its blocks")]
    crops = node.constant(2, "its crops")
    shape = node.source(0).shape
    batch, count = shape[0] // int(np.prod(block)), len(block)
    x = relax.op.reshape(node.tensor(0), (*block, batch, *shape[1:]))
    order = [count, *(axis for at in range(count) for axis in (count + 1 + at, at))]
    order += [2 * count + 1 + at for at in range(len(shape) - 1 - count)]
    grown = [size * b for size, b in zip(shape[1:], block, strict=False)]
    x = relax.op.reshape(relax.op.permute_dims(x, order), (batch, *grown, *shape[1 + count :]))
    start = [int(crop[0]) for crop in crops]
    end = [size - int(crop[1]) for size, crop in zip(grown, crops, strict=True)]
    return relax.op.strided_slice(x, list(range(1, 1 + count)), start, end)
