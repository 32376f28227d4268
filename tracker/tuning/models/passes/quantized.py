"""Quantization in Relax's elementary operators, so that it fuses and takes part in blocked layouts.

``real = (integer - zero) * scale``. Scales and zeros are arrays where they are known, else expressions; they
broadcast against the tensor. Rounding is to the nearest, ties to even, and saturates; what NaN gives is not defined, as
in ONNX. relax.quantize and relax.dequantize do not do for this: they know no blocks, no
float16, and what they legalize to stops blocked layouts.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import tvm
from tvm import relax

__all__ = [
    "Operand",
    "cast",
    "constant",
    "dequantized",
    "divided",
    "dtype_of",
    "flat",
    "quantized",
    "requantized",
    "rounded",
]

#: Known while compiling, or computed by the model.
Operand: TypeAlias = "np.ndarray | relax.Expr"


def constant(value: Operand) -> relax.Expr:
    """``value`` as Relax has it; one number loses its dimensions, so that it becomes part of the kernel."""
    if not isinstance(value, np.ndarray):
        return value
    return relax.const(tvm.runtime.tensor(np.array(flat(value), order="C")), value.dtype.name)


def flat(value: np.ndarray) -> np.ndarray:
    """``value`` without dimensions where it is one number."""
    return value.reshape(()) if value.size == 1 else value


def dtype_of(value: Operand) -> str:
    """Name of the dtype of ``value``."""
    return value.dtype.name if isinstance(value, np.ndarray) else str(value.ty.dtype)


def cast(builder: relax.BlockBuilder, value: Operand, dtype: str) -> Operand:
    """``value`` in ``dtype``, known where it was known."""
    if isinstance(value, np.ndarray):
        return value.astype(dtype)
    return value if dtype_of(value) == dtype else builder.emit(relax.op.astype(value, dtype))


def dequantized(
    builder: relax.BlockBuilder, value: relax.Expr, scale: Operand, zero: Operand | None, dtype: str = "float32"
) -> relax.Expr:
    """The reals that ``value`` stands for, computed in float32 and given in ``dtype``."""
    if zero is not None and not (isinstance(zero, np.ndarray) and not zero.any()):
        if dtype_of(value).startswith(("int", "uint")):
            wide = builder.emit(relax.op.astype(value, "int32"))
            value = builder.emit(relax.op.subtract(wide, constant(cast(builder, zero, "int32"))))
        else:
            wide = constant(cast(builder, value, "float32"))
            value = builder.emit(relax.op.subtract(wide, constant(cast(builder, zero, "float32"))))
    real = builder.emit(
        relax.op.multiply(constant(cast(builder, value, "float32")), constant(cast(builder, scale, "float32")))
    )
    return constant(cast(builder, real, dtype))


def quantized(
    builder: relax.BlockBuilder,
    value: relax.Expr,
    scale: Operand,
    zero: Operand | None,
    dtype: str,
    precision: str = "float32",
) -> relax.Expr:
    """``value`` in integers of ``dtype``, divided by ``scale`` in ``precision``."""
    return rounded(builder, divided(builder, value, scale, precision), zero, dtype)


def divided(builder: relax.BlockBuilder, value: relax.Expr, scale: Operand, precision: str) -> relax.Expr:
    """``value`` by ``scale`` in ``precision``, given in float32."""
    dividend, divisor = (constant(cast(builder, x, precision)) for x in (value, scale))
    quotient = builder.emit(relax.op.divide(dividend, divisor))
    return constant(cast(builder, quotient, "float32"))


def requantized(
    builder: relax.BlockBuilder, value: relax.Expr, factor: Operand, zero: Operand | None, dtype: str
) -> relax.Expr:
    """Integers ``value`` times ``factor`` in integers of ``dtype``: one multiplication, as MLAS does it."""
    real = builder.emit(relax.op.multiply(constant(cast(builder, value, "float32")), constant(factor)))
    return rounded(builder, real, zero, dtype)


def rounded(builder: relax.BlockBuilder, value: relax.Expr, zero: Operand | None, dtype: str) -> relax.Expr:
    """float32 ``value`` rounded, ``zero`` added, saturated to ``dtype``: limits come first, which changes nothing."""
    limits = np.iinfo(dtype)
    offset: Operand = np.zeros((), np.float32) if zero is None else cast(builder, zero, "float32")
    least, most = (_minus(builder, np.float32(limit), offset) for limit in (limits.min, limits.max))
    value = builder.emit(relax.op.maximum(value, constant(least)))
    value = builder.emit(relax.op.minimum(value, constant(most)))
    value = builder.emit(relax.op.round(value))
    if not isinstance(offset, np.ndarray) or offset.any():
        value = builder.emit(relax.op.add(value, constant(offset)))
    return builder.emit(relax.op.astype(value, dtype))


def _minus(builder: relax.BlockBuilder, limit: np.float32, offset: Operand) -> Operand:
    if isinstance(offset, np.ndarray):
        return np.asarray(limit - offset)
    return builder.emit(relax.op.subtract(relax.const(float(limit), "float32"), offset))
