"""Pooling over windows of an image, NHWC."""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.tflite.operators.activation import activated
from tvm_farm.tracker.tuning.models.importers.tflite.operators.scales import Clamp, clamp_of
from tvm_farm.tracker.tuning.models.importers.tflite.operators.window import padding_of
from tvm_farm.tracker.tuning.models.importers.values import Refused

__all__: list[str] = []


def _window(node: Node) -> dict[str, Any]:
    size = (int(node.option("filterHeight", 1)), int(node.option("filterWidth", 1)))
    return {
        "pool_size": size,
        "strides": (int(node.option("strideH", 1)), int(node.option("strideW", 1))),
        "padding": padding_of(node, node.source(0).shape, size, node.outputs[0].shape),
        "layout": "NHWC",
    }


@converter("MAX_POOL_2D")
def max_pool(node: Node) -> relax.Expr:
    return activated(node, node.emit(relax.op.nn.max_pool2d(node.tensor(0), **_window(node))))


@converter("AVERAGE_POOL_2D")
def average_pool(node: Node) -> relax.Expr:
    """What lies outside the image counts for nothing."""
    pooled = relax.op.nn.avg_pool2d(node.tensor(0), **_window(node), count_include_pad=False)
    return activated(node, node.emit(pooled))


@converter("L2_POOL_2D")
def l2_pool(node: Node) -> relax.Expr:
    square = node.emit(relax.op.multiply(node.tensor(0), node.tensor(0)))
    pooled = relax.op.nn.avg_pool2d(square, **_window(node), count_include_pad=False)
    return activated(node, node.emit(relax.op.sqrt(pooled)))


@converter("MAX_POOL_2D", quantized=True)
def quantized_max_pool(node: Node) -> relax.Expr:
    _alike(node)
    clamp = clamp_of(node)
    pooled = node.emit(relax.op.nn.max_pool2d(node.tensor(0), **_window(node)))
    if clamp.whole:
        return pooled
    return node.te(lambda x: te.compute(x.shape, lambda *at: clamp.of(x(*at).astype("int32"))), pooled)


@converter("AVERAGE_POOL_2D", quantized=True)
def quantized_average_pool(node: Node) -> relax.Expr:
    """The integers' mean, halves away from zero (LiteRT, kernels/internal/reference/integer_ops/pooling.h)."""
    _alike(node)
    return node.te(lambda x: _average(node, x, clamp_of(node)), node.tensor(0))


def _average(node: Node, x: te.Tensor, clamp: Clamp) -> te.Tensor:
    window = _window(node)
    (height, width), (down, right), pads = window["pool_size"], window["strides"], window["padding"]
    _, rows, columns, _ = node.source(0).shape
    i, j = te.reduce_axis((0, height), "i"), te.reduce_axis((0, width), "j")
    padded = x
    if any(pads):

        def inside(n: tirx.Var, h: tirx.Var, w: tirx.Var, c: tirx.Var) -> tirx.Expr:
            y, z = h - pads[0], w - pads[1]
            real = tirx.all(y >= 0, y < rows, z >= 0, z < columns)
            return tirx.if_then_else(real, x(n, y, z, c), tirx.const(0, x.dtype))

        grown = (x.shape[0], rows + pads[0] + pads[2], columns + pads[1] + pads[3], x.shape[3])
        padded = te.compute(grown, inside, "padded")
    total = te.compute(
        node.outputs[0].shape,
        lambda n, h, w, c: te.sum(padded(n, h * down + i, w * right + j, c).astype("int32"), axis=[i, j]),
        "total",
    )

    def mean(n: tirx.Var, h: tirx.Var, w: tirx.Var, c: tirx.Var) -> tirx.Expr:
        count = tirx.const(height * width, "int32")
        if any(pads):
            count = _covered(h * down - pads[0], height, rows) * _covered(w * right - pads[1], width, columns)
        found = total(n, h, w, c)
        half = tirx.Select(found > 0, tirx.truncdiv(count, 2), -tirx.truncdiv(count, 2))
        return clamp.of(tirx.truncdiv(found + half, count))

    return te.compute(node.outputs[0].shape, mean, "mean")


def _covered(start: tirx.Expr, window: int, size: int) -> tirx.Expr:
    covered = te.min(start + window, tirx.const(size, "int64")) - te.max(start, tirx.const(0, "int64"))
    return covered.astype("int32")


def _alike(node: Node) -> None:
    source, output = node.source(0), node.outputs[0]
    if source.zero != output.zero or source.scale is None or output.scale is None or source.scale[0] != output.scale[0]:
        raise Refused(f"{source.name} is quantized otherwise than its output, which LiteRT's kernel does not take")
