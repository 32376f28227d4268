"""Convolutions and products with weights, on numbers as they are. Images are NHWC."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.tflite.operators.activation import activated
from tvm_farm.tracker.tuning.models.importers.tflite.operators.window import padding_of
from tvm_farm.tracker.tuning.models.importers.values import Refused

__all__ = ["depthwise_weights", "geometry", "transposed_convolution"]


def geometry(node: Node, kernel: tuple[int, int]) -> dict[str, Any]:
    """Strides, dilation and padding of the convolution ``node``, as Relax takes them."""
    dilation = (int(node.option("dilationHFactor", 1)), int(node.option("dilationWFactor", 1)))
    window = ((kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1)
    return {
        "strides": (int(node.option("strideH", 1)), int(node.option("strideW", 1))),
        "dilation": dilation,
        "padding": padding_of(node, node.source(0).shape, window, node.outputs[0].shape),
        "data_layout": "NHWC",
    }


@converter("CONV_2D")
def convolution(node: Node) -> relax.Expr:
    """Weights are (outputs, rows, columns, inputs of a group)."""
    _, rows, columns, inner = node.source(1).shape
    kernel = relax.op.permute_dims(node.tensor(1), [1, 2, 3, 0])
    groups = node.source(0).shape[3] // inner
    result = relax.op.nn.conv2d(
        node.tensor(0), kernel, **geometry(node, (rows, columns)), kernel_layout="HWIO", groups=groups
    )
    return _finished(node, result)


@converter("DEPTHWISE_CONV_2D")
def depthwise(node: Node) -> relax.Expr:
    _, rows, columns, _ = node.source(1).shape
    result = relax.op.nn.conv2d(
        node.tensor(0),
        depthwise_weights(node, node.tensor(1)),
        **geometry(node, (rows, columns)),
        kernel_layout="HWOI",
        groups=node.source(0).shape[3],
    )
    return _finished(node, result)


def depthwise_weights(node: Node, weights: relax.Expr) -> relax.Expr:
    """Weights (1, rows, columns, outputs) as (rows, columns, outputs, 1)."""
    _, rows, columns, outputs = node.source(1).shape
    return relax.op.reshape(weights, (rows, columns, outputs, 1))


@converter("TRANSPOSE_CONV")
def transposed(node: Node) -> relax.Expr:
    """Inputs are the size of the answer, weights (outputs, rows, columns, inputs), the image and a bias."""
    return _finished(node, transposed_convolution(node, node.tensor(2), node.tensor(1)), bias=3)


def transposed_convolution(node: Node, x: relax.Expr, weights: relax.Expr, dtype: str = "") -> relax.Expr:
    """Of the image ``x``, without a bias. Sums are of ``dtype`` where that is given."""
    node.constant(0, "its size")
    _, rows, columns, _ = node.source(1).shape
    _, height, width, _ = node.outputs[0].shape
    strides = (int(node.option("strideH", 1)), int(node.option("strideW", 1)))
    image = node.source(2).shape
    # Its padding is that of the convolution which leads from the answer back to the image.
    top, left, bottom, right = padding_of(node, node.outputs[0].shape, (rows, columns), image)
    extra = (
        height - ((image[1] - 1) * strides[0] + rows - top - bottom),
        width - ((image[2] - 1) * strides[1] + columns - left - right),
    )
    if min(extra) < 0 or extra[0] >= strides[0] or extra[1] >= strides[1]:
        raise Refused(f"its answer of {height} x {width} does not follow from its image, kernel and strides")
    result = relax.op.nn.conv2d_transpose(
        relax.op.permute_dims(x, [0, 3, 1, 2]),
        relax.op.permute_dims(weights, [3, 0, 1, 2]),
        strides=strides,
        padding=(top, left, bottom, right),
        output_padding=extra,
        data_layout="NCHW",
        kernel_layout="IOHW",
        out_dtype=dtype or None,
    )
    return relax.op.permute_dims(result, [0, 2, 3, 1])


@converter("FULLY_CONNECTED")
def fully_connected(node: Node) -> relax.Expr:
    """Weights are (outputs, inputs); the image is taken as rows of as many inputs."""
    inner = node.source(1).shape[1]
    if int(node.option("weightsFormat")):
        raise Refused("its weights are shuffled for one kind of processor")
    rows = int(np.prod(node.source(0).shape, dtype=np.int64)) // inner
    flat = relax.op.reshape(node.tensor(0), (rows, inner))
    result = relax.op.matmul(flat, relax.op.permute_dims(node.tensor(1), [1, 0]))
    return relax.op.reshape(_finished(node, result), node.outputs[0].shape)


@converter("BATCH_MATMUL")
def batch_matmul(node: Node) -> relax.Expr:
    pair = [node.tensor(0), node.tensor(1)]
    for at, name in ((0, "adjX"), (1, "adjY")):
        if node.option(name, False):
            rank = len(node.source(at).shape)
            pair[at] = node.emit(relax.op.permute_dims(pair[at], [*range(rank - 2), rank - 1, rank - 2]))
    return relax.op.matmul(*pair)


def _finished(node: Node, result: relax.Expr, bias: int = 2) -> relax.Expr:
    if node.source(1).dtype != node.outputs[0].dtype:
        raise Refused("its weights are quantized and its input is not: LiteRT then quantizes the input as it runs")
    result = node.emit(result)
    if node.has(bias):
        result = node.emit(relax.op.add(result, node.tensor(bias)))
    return activated(node, result)
