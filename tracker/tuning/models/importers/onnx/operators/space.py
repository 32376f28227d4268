"""Space and channels rearranged: DepthToSpace, SpaceToDepth, Col2Im; pictures in files are refused."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, converter
from tvm_farm.tracker.tuning.models.importers.onnx.operators.window import Window


@converter("DepthToSpace")
def depth_to_space(node: Node) -> Value:
    size, mode = int(node.attribute("blocksize")), _mode(node)
    n, c, h, w = _image(node)
    if c % (size * size):
        raise Refused(f"its {c} channels do not divide into blocks of {size} by {size}")
    inner = c // (size * size)
    if mode == "DCR":
        split, order = (n, size, size, inner, h, w), (0, 3, 4, 1, 5, 2)
    else:
        split, order = (n, inner, size, size, h, w), (0, 1, 4, 2, 5, 3)
    return _moved(node, split, order, (n, inner, h * size, w * size))


@converter("SpaceToDepth")
def space_to_depth(node: Node) -> Value:
    size, mode = int(node.attribute("blocksize")), _mode(node)
    n, c, h, w = _image(node)
    if h % size or w % size:
        raise Refused(f"its image of {h} by {w} does not divide into blocks of {size} by {size}")
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    split = (n, c, h // size, size, w // size, size)
    return _moved(node, split, order, (n, c * size * size, h // size, w // size))


def _mode(node: Node) -> str:
    mode = str(node.attribute("mode", "DCR"))
    if mode not in ("DCR", "CRD"):
        raise Refused(f"ONNX has no mode {mode}")
    return mode


def _image(node: Node) -> tuple[int, int, int, int]:
    shape = node.shape(0)
    if len(shape) != 4:
        raise Refused(f"its input {list(shape)} does not have four axes")
    return shape[0], shape[1], shape[2], shape[3]


def _moved(node: Node, split: Sequence[int], order: Sequence[int], shape: Sequence[int]) -> relax.Expr:
    blocks = node.emit(relax.op.reshape(node.tensor(0), tuple(split)))
    return node.emit(relax.op.reshape(node.emit(relax.op.permute_dims(blocks, list(order))), tuple(shape)))


@converter("Col2Im")
def col2im(node: Node) -> Value:
    """Each pixel gathers what the blocks that cover it hold for it."""
    image = [int(size) for size in node.constant(1, "its image shape").reshape(-1)]
    block = [int(size) for size in node.constant(2, "its block shape").reshape(-1)]
    axes = len(image)
    strides, dilations = (list(node.attribute(name) or [1] * axes) for name in ("strides", "dilations"))
    pads = list(node.attribute("pads") or [0] * (2 * axes))
    n, rows, columns = node.shape(0)
    if rows % prod(block) or len(block) != axes:
        raise Refused(f"its input {[n, rows, columns]} does not hold whole blocks of {block}")
    windows = []
    for axis in range(axes):
        room = image[axis] + pads[axis] + pads[axis + axes] - (block[axis] - 1) * dilations[axis] - 1
        count = room // strides[axis] + 1
        windows.append(Window(image[axis], block[axis], strides[axis], dilations[axis], pads[axis], 0, count))
    if prod(window.wanted for window in windows) != columns:
        raise Refused(f"its {columns} columns are not the blocks of an image {image}")
    if 0 in (n, rows, *image):
        return np.zeros([n, rows // prod(block), *image], np.dtype(node.dtype(0)))
    return node.te(lambda data: _summed(data, windows), node.tensor(0))


def _summed(data: te.Tensor, windows: Sequence[Window]) -> te.Tensor:
    area = prod(window.kernel for window in windows)
    steps = [te.reduce_axis((0, window.kernel), f"k{axis}") for axis, window in enumerate(windows)]
    zero = tirx.const(0, data.dtype)

    def element(n: Any, channel: Any, *at: Any) -> Any:
        row, column, covers = channel * area, 0, []
        for number, (window, i, step) in enumerate(zip(windows, at, steps, strict=True)):
            offset = i + window.before - step * window.dilation
            place = tirx.floordiv(offset, window.stride)
            covers += [tirx.floormod(offset, window.stride) == 0, place >= 0, place < window.wanted]
            row += step * prod(each.kernel for each in windows[number + 1 :])
            column = column * window.wanted + place
        return te.sum(tirx.if_then_else(tirx.all(*covers), data(n, row, column), zero), axis=steps)

    channels = int(data.shape[1]) // area
    return te.compute([data.shape[0], channels, *(window.given for window in windows)], element, name="summed")


@converter("ImageDecoder")
def image_decoder(node: Node) -> Value:
    raise Refused("it reads picture files, which is no work on tensors: give the model the decoded picture")
