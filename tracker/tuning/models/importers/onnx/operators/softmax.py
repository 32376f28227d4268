"""Softmax and its kin. Before opset 13 they work on a matrix: all dimensions from ``axis`` on are its rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Value, as_expression, converter, shape_of
from tvm_farm.tracker.tuning.models.importers.onnx.operators.casting import cast_to
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import HALVES, reshaped


@converter("Softmax")
def softmax(node: Node) -> Value:
    return _by_rows(node, lambda x, axis: node.emit(relax.op.nn.softmax(as_expression(x), axis)))


@converter("LogSoftmax")
def log_softmax(node: Node) -> Value:
    return _by_rows(node, lambda x, axis: node.emit(relax.op.nn.log_softmax(as_expression(x), axis)))


@converter("Hardmax")
def hardmax(node: Node) -> Value:
    return _by_rows(node, lambda x, axis: _hardmax(node, x, axis))


def _by_rows(node: Node, function: Callable[[Value, int], Value]) -> Value:
    shape, kind = node.shape(0), node.dtype(0)
    axis = int(node.attribute("axis", -1 if node.opset >= 13 else 1))
    value = cast_to(node, node.value(0), "float32" if kind in HALVES else kind)
    if node.opset < 13:
        axis += len(shape) if axis < 0 else 0
        rows = (int(np.prod(shape[:axis], dtype=np.int64)), int(np.prod(shape[axis:], dtype=np.int64)))
        return cast_to(node, reshaped(node, function(reshaped(node, value, rows), -1), shape), kind)
    return cast_to(node, function(value, axis), kind)


def _hardmax(node: Node, value: Value, axis: int) -> Value:
    """1 at the first of the greatest elements."""
    shape, kind = shape_of(value), value.ty.dtype if not isinstance(value, np.ndarray) else value.dtype.name
    axis %= len(shape)
    best = node.emit(relax.op.argmax(as_expression(value), axis, keepdims=True))
    places = np.arange(shape[axis], dtype=np.int64).reshape([-1 if k == axis else 1 for k in range(len(shape))])
    return node.emit(relax.op.astype(relax.op.equal(best, as_expression(places)), str(kind)))
