"""Casts: plain where TVM's are right, by integer arithmetic on the bits for the floats of eight bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from onnx import helper
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
    whole_bytes,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import pointwise

__all__ = ["EIGHTS", "cast_to"]


@dataclass(frozen=True)
class _Eight:
    """A float of eight bits. ``overflow``: code of what lies beyond ``largest``, the code of the greatest number."""

    mantissa: int
    bias: int
    largest: int
    overflow: int
    nan: int
    signed_zero: bool


#: By their names in numpy.
EIGHTS = {
    "float8_e4m3fn": _Eight(3, 7, 0x7E, 0x7F, 0x7F, True),
    "float8_e4m3fnuz": _Eight(3, 8, 0x7F, 0x80, 0x80, False),
    "float8_e5m2": _Eight(2, 15, 0x7B, 0x7C, 0x7F, True),
    "float8_e5m2fnuz": _Eight(2, 16, 0x7F, 0x80, 0x80, False),
}
_EXPONENT = "float8_e8m0fnu"
#: Magic for rounding to an integer, half to even: its last bit is 1.
_TWO_23 = 8388608.0


@converter("Cast")
def cast(node: Node) -> Value:
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(node.attribute("to"))).name
    return cast_to(node, node.value(0), dtype, bool(node.attribute("saturate", 1)), node.attribute("round_mode", "up"))


@converter("CastLike")
def cast_like(node: Node) -> Value:
    saturate, mode = bool(node.attribute("saturate", 1)), node.attribute("round_mode", "up")
    return cast_to(node, node.value(0), node.dtype(1), saturate, mode)


@converter("BitCast")
def bit_cast(node: Node) -> Value:
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(node.attribute("to"))).name
    return _reinterpreted(node, node.value(0), dtype)


def cast_to(node: Node, value: Value, dtype: str, saturate: bool = True, mode: str = "up") -> Value:
    """``value`` as ``dtype``. ``saturate`` and ``mode`` concern floats of eight bits, as ONNX's Cast has them."""
    source = dtype_of(value)
    if source == dtype:
        return value
    if dtype.startswith(("str", "object")):
        raise Refused("it makes strings of numbers")
    whole_bytes(source)
    whole_bytes(dtype)
    if source in EIGHTS or source == _EXPONENT:
        return cast_to(node, _from_eight(node, value), dtype, saturate, mode)
    if dtype in EIGHTS or dtype == _EXPONENT:
        bits = _bits(node, cast_to(node, value, "float32"), dtype, saturate, mode)
        return _reinterpreted(node, bits, dtype)
    if dtype in ("int8", "int16", "uint8", "uint16") and "float" in source:
        # Beyond the range ONNX leaves it open: this wraps, as ONNX Runtime does on x86-64.
        return cast_to(node, cast_to(node, value, "int32"), dtype)
    if dtype == "uint32" and "float" in source:
        return cast_to(node, cast_to(node, value, "int64"), dtype)
    if dtype == "bool":
        return pointwise(node, _truth, value)
    return node.emit(relax.op.astype(as_expression(value), dtype))


def _truth(x: Any) -> Any:
    """NaN is true, which LLVM's comparison by TVM leaves out."""
    different = x != tirx.const(0, str(x.ty))
    return tirx.Or(different, tirx.isnan(x)) if "float" in str(x.ty) else different


def _reinterpreted(node: Node, value: Value, dtype: str) -> Value:
    """The bits of ``value`` read as ``dtype`` of the same width."""
    if dtype_of(value) == dtype:
        return value
    whole_bytes(dtype)
    if "bool" in (dtype, dtype_of(value)):
        return cast_to(node, value, dtype)
    return pointwise(node, lambda x: tirx.reinterpret(dtype, x), value, name="reinterpret")


def _from_eight(node: Node, value: Value) -> Value:
    """As float32, out of a table of all 256."""
    kind = np.dtype(getattr(ml_dtypes, dtype_of(value)))
    table = np.arange(256, dtype=np.uint8).view(kind).astype(np.float32)

    def looked_up(x: te.Tensor, values: te.Tensor) -> te.Tensor:
        return te.compute(shape_of(value), lambda *at: values(tirx.reinterpret("uint8", x(*at)).astype("int32")))

    return node.te(looked_up, value, table, name="from_float8")


def _bits(node: Node, value: Value, dtype: str, saturate: bool, mode: str) -> relax.Var:
    if dtype == _EXPONENT:
        return pointwise(node, lambda x: _exponent_code(x, saturate, mode), value, name="to_float8")
    return pointwise(node, lambda x: _code(x, EIGHTS[dtype], saturate), value, name="to_float8")


def _u(number: int) -> Any:
    return tirx.const(number, "uint32")


def _code(x: Any, kind: _Eight, saturate: bool) -> Any:
    """Eight bits of the float32 ``x``, rounded half to even."""
    bits = tirx.reinterpret("uint32", x)
    size = tirx.bitwise_and(bits, _u(0x7FFFFFFF))
    cut = 23 - kind.mantissa
    half = tirx.bitwise_and(tirx.shift_right(size, _u(cut)), _u(1)) + _u((1 << (cut - 1)) - 1)
    normal = tirx.shift_right(size + half, _u(cut)) - _u((127 - kind.bias) << kind.mantissa)
    steps = tirx.reinterpret("float32", size) * tirx.const(2.0 ** (kind.bias - 1 + kind.mantissa), "float32")
    small = tirx.reinterpret("uint32", steps + tirx.const(_TWO_23, "float32")) - _u(0x4B000000)
    lowest = _u((127 - kind.bias + 1) << 23)
    found = tirx.Select(size < lowest, small, normal)
    above = tirx.Or(size >= _u(0x7F800000), tirx.And(size >= lowest, normal > _u(kind.largest)))
    found = tirx.Select(above, _u(kind.largest if saturate else kind.overflow), found)
    sign = tirx.bitwise_and(tirx.shift_right(bits, _u(24)), _u(0x80))
    if not kind.signed_zero:
        sign = tirx.Select(found == _u(0), _u(0), sign)
    signed = tirx.bitwise_or(found, sign)
    return tirx.Select(size > _u(0x7F800000), _u(kind.nan), signed).astype("uint8")


def _exponent_code(x: Any, saturate: bool, mode: str) -> Any:
    """The exponent alone, 255 for what is not finite; ONNX's reference takes the same steps."""
    bits = tirx.reinterpret("uint32", x)
    exponent = tirx.bitwise_and(tirx.shift_right(bits, _u(23)), _u(0xFF))
    rest = tirx.bitwise_and(bits, _u(0x7FFFFF))
    if mode == "nearest":
        up = tirx.Or(rest > _u(0x400000), tirx.And(rest == _u(0x400000), exponent > _u(0)))
    else:
        up = rest > _u(0) if mode == "up" else tirx.const(False, "bool")
    if saturate:
        up = tirx.And(up, exponent < _u(0xFE))
    found = exponent + tirx.Select(up, _u(1), _u(0))
    return tirx.Select(exponent == _u(0xFF), exponent, found).astype("uint8")
