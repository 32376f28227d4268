"""Operators that weigh elements by what stands around them."""

from __future__ import annotations

from tvm import relax, te, tirx

from tracker.tuning.models.importers.tflite.node import Node, converter
from tracker.tuning.models.importers.tflite.operators.activation import activated

__all__: list[str] = []


@converter("SOFTMAX")
def softmax(node: Node) -> relax.Expr:
    x, beta = node.tensor(0), float(node.option("beta", 1.0))
    if beta != 1.0:
        x = node.emit(relax.op.multiply(x, relax.const(beta, node.source(0).dtype)))
    return relax.op.nn.softmax(x, axis=-1)


@converter("LOG_SOFTMAX")
def log_softmax(node: Node) -> relax.Expr:
    return relax.op.nn.log_softmax(node.tensor(0), axis=-1)


@converter("L2_NORMALIZATION")
def l2_normalization(node: Node) -> relax.Expr:
    """Along the last axis; a length below 1e-6 counts as that (LiteRT, internal/reference/l2normalization.h)."""
    x = node.tensor(0)
    length = relax.op.sqrt(node.emit(relax.op.sum(relax.op.multiply(x, x), axis=-1, keepdims=True)))
    length = relax.op.maximum(node.emit(length), relax.const(1e-6, node.source(0).dtype))
    return activated(node, node.emit(relax.op.divide(x, length)))


@converter("LOCAL_RESPONSE_NORMALIZATION")
def local_response_normalization(node: Node) -> relax.Expr:
    """``x / (bias + alpha * s) ** beta``, where ``s`` sums the squares of ``radius`` channels to either side."""
    radius, shape = int(node.option("radius")), node.source(0).shape
    bias, alpha, beta = (float(node.option(name)) for name in ("bias", "alpha", "beta"))

    def normalized(x: te.Tensor) -> te.Tensor:
        around = te.reduce_axis((0, 2 * radius + 1), "around")

        def square(*place: tirx.Var) -> tirx.Expr:
            channel = place[-1] + around - radius
            inside = tirx.all(channel >= 0, channel < shape[-1])
            element = tirx.if_then_else(inside, x(*place[:-1], channel), tirx.const(0, x.dtype))
            return te.sum(element * element, axis=around)

        squares = te.compute(shape, square)
        return te.compute(
            shape,
            lambda *at: x(*at) / te.power(tirx.const(bias, x.dtype) + tirx.const(alpha, x.dtype) * squares(*at),
                                          tirx.const(beta, x.dtype)),
        )  # fmt: skip

    return node.te(normalized, node.tensor(0))
