"""The fixed-point arithmetic of quantized operators, as LiteRT's reference kernels do it, bit by bit.

From LiteRT's kernels/internal/quantization_util.cc, common.cc and kernels/kernel_util.cc: a real factor is 31 bits and
a shift; products are rounded twice, halves up in the first step and away from zero in the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm import te, tirx

from tvm_farm.tracker.tuning.models.importers.tflite.graph import Tensor
from tvm_farm.tracker.tuning.models.importers.tflite.node import Node
from tvm_farm.tracker.tuning.models.importers.tflite.operators.activation import limits_of
from tvm_farm.tracker.tuning.models.importers.values import Refused

__all__ = ["Clamp", "Factor", "clamp_of", "factor_of", "rescaled", "rescaled_by_channel", "rounded_shift", "scale_of"]


@dataclass(frozen=True)
class Factor:
    """``multiplier * 2 ** (shift - 31)``."""

    multiplier: int
    shift: int


@dataclass(frozen=True)
class Clamp:
    """Lowest and highest stored number that an activation lets through, and their dtype."""

    low: int
    high: int
    dtype: str

    @property
    def whole(self) -> bool:
        """Whether it lets every number of its dtype through."""
        info = np.iinfo(self.dtype)
        return (self.low, self.high) == (info.min, info.max)

    def of(self, value: tirx.Expr) -> tirx.Expr:
        """``value``, an int32, within the limits and of the dtype."""
        low, high = tirx.const(self.low, "int32"), tirx.const(self.high, "int32")
        return te.max(te.min(value, high), low).astype(self.dtype)


def scale_of(tensor: Tensor) -> np.float32:
    """The one scale of ``tensor``. Raises Refused where it has none or several."""
    if tensor.scale is None or len(tensor.scale) != 1:
        raise Refused(f"{tensor.name} is not quantized by one scale")
    scale: np.float32 = tensor.scale.astype(np.float32)[0]
    return scale


def clamp_of(node: Node) -> Clamp:
    """What ``node``'s activation lets through of its output."""
    output = node.outputs[0]
    if output.dtype not in ("int8", "uint8"):
        raise Refused(f"its output is quantized to {output.dtype}; the farm computes with int8 and uint8")
    info = np.iinfo(output.dtype)
    scale = scale_of(output)
    stored = [
        None if limit is None else output.zero + _round(float(np.float32(limit) / scale)) for limit in limits_of(node)
    ]
    low = info.min if stored[0] is None else max(info.min, stored[0])
    high = info.max if stored[1] is None else min(info.max, stored[1])
    return Clamp(int(low), int(high), output.dtype)


def factor_of(real: float) -> Factor:
    """``real``, not negative, in 31 bits."""
    if real == 0:
        return Factor(0, 0)
    fraction, shift = math.frexp(real)
    multiplier = _round(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        return Factor(0, 0)
    return Factor((1 << 31) - 1, 30) if shift > 30 else Factor(multiplier, shift)


def rescaled(value: tirx.Expr, factor: Factor) -> tirx.Expr:
    """``value``, an int32, times ``factor``."""
    left, right = max(factor.shift, 0), max(-factor.shift, 0)
    return rounded_shift(_high_product(value << left if left else value, tirx.const(factor.multiplier, "int32")), right)


def rescaled_by_channel(
    values: te.Tensor, multipliers: te.Tensor, shifts: te.Tensor, factors: Sequence[Factor]
) -> te.Tensor:
    """Like ``rescaled`` with a factor for every slice along the last axis, which the two vectors hold."""
    left, right = any(each.shift > 0 for each in factors), any(each.shift < 0 for each in factors)
    zero = tirx.const(0, "int32")

    def at(*place: tirx.Var) -> tirx.Expr:
        shift = shifts(place[-1])
        value = values(*place)
        value = _high_product(value << te.max(shift, zero) if left else value, multipliers(place[-1]))
        if not right:
            return value
        return rounded_shift(value, te.max(-shift, zero))

    return te.compute(values.shape, at, "rescaled")


def rounded_shift(value: tirx.Expr, by: int | tirx.Expr) -> tirx.Expr:
    """``value / 2 ** by``, rounded, halves away from zero."""
    if isinstance(by, int):
        if not by:
            return value
        return (value + (1 << (by - 1)) + (value >> 31)) >> by
    one, zero = tirx.const(1, "int32"), tirx.const(0, "int32")
    some = by > zero
    half = tirx.Select(some, one << te.max(by - one, zero), zero)
    return (value + half + tirx.Select(some, value >> 31, zero)) >> by


def _high_product(value: tirx.Expr, multiplier: tirx.Expr) -> tirx.Expr:
    product = value.astype("int64") * multiplier.astype("int64")
    return ((product + tirx.const(1 << 30, "int64")) >> 31).astype("int32")


def _round(value: float) -> int:
    """To the nearest integer, halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
