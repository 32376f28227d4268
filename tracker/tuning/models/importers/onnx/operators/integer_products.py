"""Convolutions and matrix products of quantized tensors, accumulated in int32."""

from __future__ import annotations

import math

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.quantize import along, dynamically_quantized
from tvm_farm.tracker.tuning.models.importers.onnx.operators.window import window_of
from tvm_farm.tracker.tuning.models.passes.products import Sliding, convolution, matrix_product
from tvm_farm.tracker.tuning.models.passes.quantized import cast, constant, requantized

_BYTES = {"int8", "uint8"}
_MICROSOFT = "com.microsoft"


@converter("ConvInteger")
def conv_integer(node: Node) -> Value:
    return _convolution(node, 0, 1, _zero(node, 2), _zero(node, 3))


@converter("MatMulInteger")
def matmul_integer(node: Node) -> Value:
    return _product(node, node.value(0), node.value(1), _zero(node, 2), _zero(node, 3))


@converter("QLinearConv")
def qlinear_conv(node: Node) -> Value:
    total = _convolution(node, 0, 3, _zero(node, 2), _zero(node, 5))
    rank = len(shape_of(total))
    if node.has(8):
        total = _sum(node, total, along(node.value(8), rank, 1))
    scale = along(node.value(4), rank, 1)
    return _requantized(node, total, _factor(node, node.value(1), scale, node.value(6)), 7)


@converter("QLinearMatMul")
def qlinear_matmul(node: Node) -> Value:
    total = _product(node, node.value(0), node.value(3), _zero(node, 2), _zero(node, 5))
    two_axes = len(node.shape(0)) == 2
    left, out = (_of_rows(node, node.value(at)) if two_axes else node.value(at) for at in (1, 6))
    return _requantized(node, total, _factor(node, left, node.value(4), out), 7)


@converter("QGemm", domain=_MICROSOFT)
def qgemm(node: Node) -> Value:
    left = _transposed(node, node.value(0), bool(node.attribute("transA", 0)))
    right = _transposed(node, node.value(3), bool(node.attribute("transB", 0)))
    total = _product(node, left, right, _zero(node, 2), _zero(node, 5))
    if node.has(6):
        total = _sum(node, total, node.value(6))
    alpha = np.float32(node.attribute("alpha", 1.0))
    scale = _times(node, _times(node, np.asarray(alpha), node.value(1)), node.value(4))
    if not node.has(7):
        return _real(node, total, scale)
    return _requantized(node, total, _divided(node, scale, node.value(7)), 8)


@converter("MatMulIntegerToFloat", domain=_MICROSOFT)
def matmul_to_float(node: Node) -> Value:
    total = _product(node, node.value(0), node.value(1), _zero(node, 4), _zero(node, 5))
    real = _real(node, total, _times(node, node.value(2), node.value(3)))
    return node.emit(relax.op.add(real, node.tensor(6))) if node.has(6) else real


@converter("DynamicQuantizeMatMul", domain=_MICROSOFT)
def dynamic_matmul(node: Node) -> Value:
    left, scale, zero = dynamically_quantized(node, node.tensor(0))
    total = _product(node, left, node.value(1), zero, _zero(node, 3))
    real = _real(node, total, _times(node, scale, node.value(2)))
    return node.emit(relax.op.add(real, node.tensor(4))) if node.has(4) else real


def _convolution(node: Node, data: int, weight: int, zero: Value | None, weight_zero: Value | None) -> relax.Expr:
    _check_bytes(node, data, weight)
    shape, kernel = node.shape(data), node.shape(weight)
    if not 3 <= len(shape) <= 5:
        raise Refused(f"TVM has no convolution over {len(shape) - 2} axes of space")
    if len(kernel) != len(shape) or node.attribute("kernel_shape", kernel[2:]) != kernel[2:]:
        raise Refused(f"its kernel_shape is not that of its weights {list(kernel)}, or these do not fit {list(shape)}")
    axes = window_of(node, kernel[2:])
    window = Sliding(
        strides=tuple(axis.stride for axis in axes),
        pads=tuple(axis.before for axis in axes) + tuple(axis.after for axis in axes),
        dilations=tuple(axis.dilation for axis in axes),
        groups=int(node.attribute("group", 1)),
    )
    if zero is not None and math.prod(shape_of(zero)) != 1:
        raise Refused("the zero point of its input is more than one number")
    if zero is not None and not isinstance(zero, np.ndarray):
        zero = node.emit(relax.op.reshape(zero, []))
    return convolution(node.builder, node.tensor(data), zero, node.value(weight), weight_zero, window)


def _product(node: Node, a: Value, b: Value, a_zero: Value | None, b_zero: Value | None) -> relax.Expr:
    for value in (a, b):
        if dtype_of(value) not in _BYTES:
            raise Refused(f"its factors are {dtype_of(a)} and {dtype_of(b)}: TVM multiplies int8 and uint8")
    return matrix_product(node.builder, as_expression(a), a_zero, b, b_zero)


def _check_bytes(node: Node, *positions: int) -> None:
    dtypes = [node.dtype(at) for at in positions]
    if not set(dtypes) <= _BYTES:
        raise Refused(f"its factors are {' and '.join(dtypes)}: TVM multiplies int8 and uint8")


def _zero(node: Node, position: int) -> Value | None:
    return node.value(position) if node.has(position) else None


def _of_rows(node: Node, value: Value) -> Value:
    """One number a row, as a column."""
    shape = shape_of(value)
    if len(shape) != 1 or shape[0] == 1:
        return value
    return value[:, None] if isinstance(value, np.ndarray) else node.emit(relax.op.expand_dims(value, 1))


def _factor(node: Node, left: Value, right: Value, out: Value) -> Value:
    """What an integer sum is multiplied with, in float32 and in this order as in ONNX Runtime."""
    return _divided(node, _times(node, left, right), out)


def _times(node: Node, left: Value, right: Value) -> Value:
    left, right = (cast(node.builder, value, "float32") for value in (left, right))
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return np.asarray(left * right)
    return node.emit(relax.op.multiply(constant(left), constant(right)))


def _divided(node: Node, left: Value, right: Value) -> Value:
    right = cast(node.builder, right, "float32")
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return np.asarray(left / right)
    return node.emit(relax.op.divide(constant(left), constant(right)))


def _sum(node: Node, total: relax.Expr, bias: Value) -> relax.Expr:
    return node.emit(relax.op.add(total, constant(bias)))


def _real(node: Node, total: relax.Expr, scale: Value) -> relax.Expr:
    return node.emit(relax.op.multiply(constant(cast(node.builder, total, "float32")), constant(scale)))


def _requantized(node: Node, total: relax.Expr, factor: Value, zero: int) -> relax.Expr:
    dtype = node.dtype(zero) if node.has(zero) else node.dtype(0)
    if dtype not in _BYTES:
        raise Refused(f"its output is {dtype}: TVM rounds to int8 and uint8 here")
    return requantized(node.builder, total, factor, _zero(node, zero), dtype)


def _transposed(node: Node, value: Value, wanted: bool) -> Value:
    if not wanted:
        return value
    return value.T if isinstance(value, np.ndarray) else node.emit(relax.op.permute_dims(value))
