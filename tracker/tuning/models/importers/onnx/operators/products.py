"""Matrix products. Those of float16 and bfloat16 add up in float32, as ONNX Runtime's do."""

from __future__ import annotations

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Value, as_expression, converter, dtype_of, shape_of
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import HALVES

__all__ = ["gemm", "narrowed", "permuted", "product", "scaled", "turned", "widened_value"]


@converter("MatMul")
def matmul(node: Node) -> relax.Expr:
    return narrowed(node, product(node, node.value(0), node.value(1)), node.dtype(0))


@converter("Gemm")
def gemm(node: Node) -> relax.Expr:
    """alpha A B + beta C, C broadcast; before opset 7 it had to be said so."""
    a, b = (turned(node, node.value(k), bool(node.attribute(n, 0))) for k, n in ((0, "transA"), (1, "transB")))
    found = scaled(node, product(node, a, b), float(node.attribute("alpha", 1.0)))
    if node.has(2):
        added = scaled(node, widened_value(node, node.value(2)), float(node.attribute("beta", 1.0)))
        found = node.emit(relax.op.add(as_expression(found), as_expression(added)))
    return narrowed(node, found, node.dtype(0))


@converter("FusedMatMul", domain="com.microsoft")
def fused_matmul(node: Node) -> relax.Expr:
    """``transBatch``: the first dimension stands behind the batch's, as the matrix's row."""
    sides = []
    for position, side in ((0, "A"), (1, "B")):
        value = node.value(position)
        rank = len(node.shape(position))
        if rank > 1:
            axes = list(range(rank))
            if node.attribute(f"transBatch{side}", 0):
                axes = [*axes[1:-1], 0, rank - 1]
            if node.attribute(f"trans{side}", 0):
                axes[-2:] = axes[-1], axes[-2]
            value = permuted(node, value, axes)
        sides.append(value)
    found = scaled(node, product(node, *sides), float(node.attribute("alpha", 1.0)))
    return narrowed(node, found, node.dtype(0))


def product(node: Node, a: Value, b: Value) -> relax.Var:
    """In float32 where the factors are narrower floats."""
    wide = "float32" if dtype_of(a) in HALVES else None
    return node.emit(relax.op.matmul(as_expression(a), as_expression(b), out_dtype=wide))


def widened_value(node: Node, value: Value) -> Value:
    if dtype_of(value) not in HALVES:
        return value
    return value.astype(np.float32) if isinstance(value, np.ndarray) else node.emit(relax.op.astype(value, "float32"))


def narrowed(node: Node, value: Value, dtype: str) -> relax.Expr:
    """``value`` in the ``dtype`` of the operator's output."""
    expression = as_expression(value)
    return expression if dtype_of(value) == dtype else node.emit(relax.op.astype(expression, dtype))


def scaled(node: Node, value: Value, by: float) -> Value:
    if by == 1.0:
        return value
    if isinstance(value, np.ndarray):
        return (value * by).astype(value.dtype)
    return node.emit(relax.op.multiply(value, relax.const(by, dtype_of(value))))


def turned(node: Node, value: Value, transposed: bool) -> Value:
    """``value``, a matrix, with its two dimensions changed where ``transposed``."""
    return permuted(node, value, (1, 0)) if transposed else value


def permuted(node: Node, value: Value, axes: tuple[int, ...] | list[int]) -> Value:
    if list(axes) == list(range(len(shape_of(value)))):
        return value
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value.transpose(axes))
    return node.emit(relax.op.permute_dims(value, list(axes)))
