"""Operators that weigh elements by what stands around them."""

from __future__ import annotations

from tvm import relax

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.tflite.operators.activation import activated

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
