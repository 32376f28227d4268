"""Products of quantized tensors in integers: int8 times int8 accumulated in int32, zeros taken out of the sums.

sum (x - zx) (w - zw) = sum x w - zx sum w - zw sum x + n zx zw: the first sum alone is work, and the one that CPUs have
dot product instructions for. Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, section 2.3. All of it is exact modulo 2^32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.passes.quantized import Operand, cast, constant

__all__ = ["Sliding", "convolution", "matrix_product"]


@dataclass(frozen=True)
class Sliding:
    """Attributes of a convolution. ``pads``: before each axis, then after each, as ONNX and Relax have it."""

    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int


def matrix_product(
    builder: relax.BlockBuilder, a: relax.Expr, a_zero: Operand | None, b: Operand, b_zero: Operand | None
) -> relax.Expr:
    """numpy's matmul of ``a - a_zero`` and ``b - b_zero`` in int32.

    ``a_zero``: one number, one a row [..., m, 1] or [m]. ``b_zero``: one number, one a column [..., 1, n] or [n].
    """
    b, b_zero = _signed(b, b_zero)
    flat_a, flat_b = len(a.ty.shape) == 1, len(b.shape if isinstance(b, np.ndarray) else b.ty.shape) == 1
    product = builder.emit(relax.op.matmul(a, constant(b), out_dtype="int32"))
    a_zero, b_zero = _present(a_zero), _present(b_zero)
    if a_zero is not None:
        a_zero = _column(builder, cast(builder, a_zero, "int32"), not flat_b)
        b_sum = _total(builder, b, 0 if flat_b else -2, keep=not (flat_a or flat_b))
        product = _less(builder, product, a_zero, b_sum)
    if b_zero is not None:
        b_zero = cast(builder, b_zero, "int32")
        a_sum: Operand = _total(builder, a, -1, keep=not (flat_a or flat_b))
        if a_zero is not None:  # sum of a - a_zero
            depth = np.asarray(int(a.ty.shape[-1]), np.int32)
            a_sum = _less(builder, constant(a_sum), a_zero, depth)
        product = _less(builder, product, a_sum, b_zero)
    return product


def convolution(
    builder: relax.BlockBuilder,
    data: relax.Expr,
    zero: Operand | None,
    weight: Operand,
    weight_zero: Operand | None,
    window: Sliding,
) -> relax.Expr:
    """Convolution of ``data - zero`` [n, c, ...] with ``weight - weight_zero`` [o, i, ...] in int32, padded with zeros.

    ``zero`` is one number; ``weight_zero`` one, or one an output channel [o].
    """
    weight, weight_zero = _signed(weight, _of_channels(builder, weight_zero, len(data.ty.shape)))
    zero, weight_zero = _present(zero), _present(weight_zero)
    if not isinstance(weight, np.ndarray) or weight_zero is not None:
        return _widened(builder, data, zero, weight, weight_zero, window)
    if zero is None:
        return _convolved(builder, data, weight, window)
    if isinstance(zero, np.ndarray):
        padded = _padded(builder, data, window, int(zero.reshape(())))
        product = _convolved(builder, padded, weight, replace(window, pads=(0,) * len(window.pads)))
        return _less(builder, product, zero.reshape(()).astype(np.int32), _sums(weight))
    # The zero is not known yet: what it adds to each pixel is the sum of the weights that lie inside of the image.
    sums: Operand = _sums(weight)
    if any(window.pads):
        ones = np.ones([1, *(int(size) for size in list(data.ty.shape)[1:])], np.int8)
        sums = _convolved(builder, constant(ones), weight, window)
    return _less(builder, _convolved(builder, data, weight, window), cast(builder, zero, "int32"), sums)


_CONVOLUTIONS: dict[int, Callable[..., Any]] = {1: relax.op.nn.conv1d, 2: relax.op.nn.conv2d, 3: relax.op.nn.conv3d}


def _convolved(builder: relax.BlockBuilder, data: relax.Expr, weight: Operand, window: Sliding) -> relax.Expr:
    convolve = _CONVOLUTIONS[len(data.ty.shape) - 2]
    return builder.emit(
        convolve(
            data,
            constant(weight) if not isinstance(weight, np.ndarray) else relax.const(np.ascontiguousarray(weight)),
            strides=list(window.strides),
            padding=list(window.pads),
            dilation=list(window.dilations),
            groups=window.groups,
            out_dtype="int32",
        )
    )


def _widened(
    builder: relax.BlockBuilder,
    data: relax.Expr,
    zero: Operand | None,
    weight: Operand,
    weight_zero: Operand | None,
    window: Sliding,
) -> relax.Expr:
    """In int16: for weights that the model computes, or that differ from their zeros by more than int8 holds."""
    narrow = _difference(builder, data, zero)
    if isinstance(weight, np.ndarray) and isinstance(weight_zero, np.ndarray):
        return _convolved(builder, narrow, weight.astype(np.int16) - weight_zero.astype(np.int16), window)
    return _convolved(builder, narrow, _difference(builder, constant(weight), weight_zero), window)


def _difference(builder: relax.BlockBuilder, value: relax.Expr, zero: Operand | None) -> relax.Expr:
    wide = builder.emit(relax.op.astype(value, "int16"))
    if zero is None:
        return wide
    return builder.emit(relax.op.subtract(wide, constant(cast(builder, zero, "int16"))))


def _sums(weight: np.ndarray) -> np.ndarray:
    """Of the weights of each output channel, against [n, o, ...]."""
    sums = weight.sum(axis=tuple(range(1, weight.ndim)), dtype=np.int32)
    return np.asarray(sums.reshape(-1, *[1] * (weight.ndim - 2)))


def _padded(builder: relax.BlockBuilder, data: relax.Expr, window: Sliding, value: int) -> relax.Expr:
    if not any(window.pads):
        return data
    half = len(window.pads) // 2
    pairs = [0, 0, 0, 0]
    for before, after in zip(window.pads[:half], window.pads[half:], strict=True):
        pairs += [before, after]
    return builder.emit(relax.op.nn.pad(data, pairs, pad_value=value))


def _signed(value: Operand, zero: Operand | None) -> tuple[Operand, Operand | None]:
    """Known weights as int8 with zeros of 0 where their differences fit, which they do in all but odd files."""
    if not isinstance(value, np.ndarray) or not (zero is None or isinstance(zero, np.ndarray)):
        return value, zero
    wide = value.astype(np.int32)
    if zero is not None:
        wide = wide - zero.astype(np.int32)
    if np.min(wide, initial=0) >= -128 and np.max(wide, initial=0) <= 127:
        return wide.astype(np.int8), None
    return value, zero


def _of_channels(builder: relax.BlockBuilder, zero: Operand | None, rank: int) -> Operand | None:
    """Zeros of output channels along the first axis of the weights."""
    shape = (-1, *[1] * (rank - 1))
    if zero is None or isinstance(zero, np.ndarray):
        return zero if zero is None or zero.size == 1 else zero.reshape(shape)
    return zero if len(zero.ty.shape) == 0 else builder.emit(relax.op.reshape(zero, shape))


def _present(zero: Operand | None) -> Operand | None:
    return None if isinstance(zero, np.ndarray) and not zero.any() else zero


def _column(builder: relax.BlockBuilder, zero: Operand, wanted: bool) -> Operand:
    """Zeros of rows as a column."""
    shape = zero.shape if isinstance(zero, np.ndarray) else zero.ty.shape
    if not wanted or len(shape) != 1 or int(shape[0]) == 1:
        return zero
    return zero[:, None] if isinstance(zero, np.ndarray) else builder.emit(relax.op.expand_dims(zero, 1))


def _total(builder: relax.BlockBuilder, value: Operand, axis: int, keep: bool) -> Operand:
    if isinstance(value, np.ndarray):
        total = np.asarray(np.sum(value, axis=axis, dtype=np.int32))
        return np.expand_dims(total, axis) if keep else total
    return builder.emit(relax.op.sum(builder.emit(relax.op.astype(value, "int32")), axis, keepdims=keep))


def _less(builder: relax.BlockBuilder, value: relax.Expr, left: Operand, right: Operand) -> relax.Expr:
    """``value - left * right`` in int32."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return builder.emit(relax.op.subtract(value, constant(np.asarray(left * right, np.int32))))
    return builder.emit(relax.op.subtract(value, builder.emit(relax.op.multiply(constant(left), constant(right)))))
