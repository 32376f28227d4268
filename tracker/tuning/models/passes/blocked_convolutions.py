"""Convolutions over images whose channels are in blocks. Bytes are padded with ``value`` and summed in int32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import te

from tvm_farm.tracker.tuning.models.passes.windows import Sizes, at, image, padded

__all__ = ["depthwise_on_blocks", "from_blocks", "from_plain", "packed", "packed_depthwise", "packed_plain"]


def packed(values: NDArray[Any], inner: int, block: int) -> NDArray[Any]:
    """Weights [o, i, kh, kw] as [o / block, i / inner, kh, kw, inner, block], what ``from_blocks`` takes."""
    outputs, channels, *kernel = values.shape
    parts = values.reshape(outputs // block, block, channels // inner, inner, *kernel)
    return np.asarray(parts.transpose(0, 2, 4, 5, 3, 1))


def packed_plain(values: NDArray[Any], block: int) -> NDArray[Any]:
    """Weights [o, i, kh, kw] as [o / block, i, kh, kw, block], what ``from_plain`` takes."""
    outputs, *rest = values.shape
    return np.asarray(values.reshape(outputs // block, block, *rest).transpose(0, 2, 3, 4, 1))


def packed_depthwise(values: NDArray[Any], block: int) -> NDArray[Any]:
    """Weights [c, 1, kh, kw] as [c / block, kh, kw, block], what ``depthwise_on_blocks`` takes."""
    channels, _, *kernel = values.shape
    return np.asarray(values.reshape(channels // block, block, *kernel).transpose(0, 2, 3, 1))


def _wide(element: Any, tensor: te.Tensor) -> Any:
    return element.astype("int32") if "int" in str(tensor.dtype) else element


def from_blocks(
    data: te.Tensor, weight: te.Tensor, strides: Sizes, padding: Sizes, dilation: Sizes, value: int = 0
) -> te.Tensor:
    """``data`` [n, I, h, w, i], ``weight`` [O, I, kh, kw, i, o] -> [n, O, h, w, o]."""
    outer, chunks, height, width, inner, block = (int(size) for size in weight.shape)
    source = padded(data, padding, value)
    place = at(strides, dilation)
    rows = te.reduce_axis((0, height), "kh")
    columns = te.reduce_axis((0, width), "kw")
    chunk, channel = te.reduce_axis((0, chunks), "ic"), te.reduce_axis((0, inner), "ib")
    return te.compute(
        [data.shape[0], outer, *image(source, [height, width], strides, dilation), block],
        lambda n, o, h, w, b: te.sum(
            _wide(source(n, chunk, *place(h, w, rows, columns), channel), source)
            * _wide(weight[o, chunk, rows, columns, channel, b], weight),
            axis=[chunk, rows, columns, channel],
        ),
        name="conv2d_blocked",
    )


def from_plain(data: te.Tensor, weight: te.Tensor, strides: Sizes, padding: Sizes, dilation: Sizes) -> te.Tensor:
    """``data`` [n, I, h, w], ``weight`` [O, I, kh, kw, o] -> [n, O, h, w, o]."""
    outer, channels, height, width, block = (int(size) for size in weight.shape)
    source = padded(data, padding)
    place = at(strides, dilation)
    rows = te.reduce_axis((0, height), "kh")
    columns = te.reduce_axis((0, width), "kw")
    channel = te.reduce_axis((0, channels), "ic")
    return te.compute(
        [data.shape[0], outer, *image(source, [height, width], strides, dilation), block],
        lambda n, o, h, w, b: te.sum(
            source(n, channel, *place(h, w, rows, columns)) * weight[o, channel, rows, columns, b],
            axis=[channel, rows, columns],
        ),
        name="conv2d_to_blocked",
    )


def depthwise_on_blocks(
    data: te.Tensor, weight: te.Tensor, strides: Sizes, padding: Sizes, dilation: Sizes, value: int = 0
) -> te.Tensor:
    """``data`` [n, C, h, w, c], ``weight`` [C, kh, kw, c] -> [n, C, h, w, c]."""
    chunks, height, width, block = (int(size) for size in weight.shape)
    source = padded(data, padding, value)
    place = at(strides, dilation)
    rows = te.reduce_axis((0, height), "kh")
    columns = te.reduce_axis((0, width), "kw")
    return te.compute(
        [data.shape[0], chunks, *image(source, [height, width], strides, dilation), block],
        lambda n, c, h, w, b: te.sum(
            _wide(source(n, c, *place(h, w, rows, columns), b), source) * _wide(weight[c, rows, columns, b], weight),
            axis=[rows, columns],
        ),
        name="depthwise_conv2d_blocked",
    )
