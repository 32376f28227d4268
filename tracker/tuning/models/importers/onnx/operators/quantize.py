"""QuantizeLinear and DequantizeLinear of every form, and what chooses its scale from its input."""

from __future__ import annotations

import numpy as np
from onnx import helper
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
from tvm_farm.tracker.tuning.models.importers.onnx.operators.casting import EIGHTS, cast_to
from tvm_farm.tracker.tuning.models.passes.quantized import constant, dequantized, quantized

__all__ = ["along", "dynamically_quantized"]

_WHOLE = {"int8", "uint8", "int16", "uint16", "int32"}
_REAL = {"float16", "float32", "bfloat16"}


@converter("DequantizeLinear")
@converter("DequantizeLinear", domain="com.microsoft")
def dequantize(node: Node) -> Value:
    value = _held(node, node.value(0))
    dtype = _named(node, "output_dtype") or node.dtype(1)
    if dtype not in _REAL:
        raise Refused(f"its output is {dtype}")
    scale = node.value(1)
    zero = _held(node, node.value(2)) if node.has(2) else None
    marked = dtype_of(value) in _WHOLE and dtype == "float32"
    if marked and (axis := _marked(node, value, scale, zero)) is not None:
        # One operator, which the pass that computes in integers knows.
        zero = np.zeros(shape_of(scale), dtype_of(value)) if zero is None else zero
        return node.emit(
            relax.op.dequantize(as_expression(value), constant(scale), constant(zero), axis=axis, out_dtype="float32")
        )
    scale, zero = (_along(node, x) for x in (scale, zero))
    return dequantized(node.builder, as_expression(value), scale, zero, dtype)


@converter("QuantizeLinear")
@converter("QuantizeLinear", domain="com.microsoft")
def quantize(node: Node) -> Value:
    value, scale = node.value(0), node.value(1)
    zero = node.value(2) if node.has(2) else None
    dtype = (None if zero is None else dtype_of(zero)) or _named(node, "output_dtype") or "uint8"
    if dtype in EIGHTS:
        return _to_eight_bits(node, dtype)
    if dtype not in _WHOLE - {"int32"}:
        raise Refused(f"its output is {dtype}, which TVM cannot compute while the model runs")
    if (axis := _marked(node, value, scale, zero)) is not None and dtype_of(value) == "float32":
        zero = np.zeros(shape_of(scale), dtype) if zero is None else zero
        return node.emit(
            relax.op.quantize(as_expression(value), constant(scale), constant(zero), axis=axis, out_dtype=dtype)
        )
    # ONNX Runtime divides float16 in float32; where the file names a precision, that is what is divided in.
    precision = _named(node, "precision") or "float32"
    scale, zero = (_along(node, x) for x in (scale, zero))
    return quantized(node.builder, as_expression(value), scale, zero, dtype, precision)


@converter("DynamicQuantizeLinear")
def dynamic(node: Node) -> list[Value]:
    return list(dynamically_quantized(node, node.tensor(0)))


def dynamically_quantized(node: Node, value: relax.Expr) -> tuple[relax.Expr, relax.Expr, relax.Expr]:
    """``value`` in uint8, its scale and its zero: its range, with 0 in it, on 0 to 255."""
    nought, full = relax.const(0.0, "float32"), relax.const(255.0, "float32")
    least = node.emit(relax.op.minimum(node.emit(relax.op.min(value)), nought))
    most = node.emit(relax.op.maximum(node.emit(relax.op.max(value)), nought))
    extent = node.emit(relax.op.subtract(most, least))
    stepped = node.emit(relax.op.divide(extent, full))
    scale = node.emit(relax.op.where(relax.op.equal(extent, nought), relax.const(1.0, "float32"), stepped))
    start = node.emit(relax.op.subtract(nought, node.emit(relax.op.divide(least, scale))))
    whole = node.emit(relax.op.round(node.emit(relax.op.clip(start, 0, 255))))
    zero = node.emit(relax.op.astype(whole, "uint8"))
    return quantized(node.builder, value, scale, zero, "uint8"), scale, zero


def _to_eight_bits(node: Node, dtype: str) -> Value:
    """A float of eight bits: no step of rounding to integers, and its zero is 0 unless the file says otherwise."""
    kind = _named(node, "precision") or "float32"
    value, scale = (cast_to(node, each, kind) for each in (node.value(0), node.value(1)))
    found = node.emit(relax.op.divide(as_expression(value), _expression(_along(node, scale))))
    if node.has(2):
        zero = _along(node, cast_to(node, node.value(2), kind))
        found = node.emit(relax.op.add(found, _expression(zero)))
    return cast_to(node, found, dtype, bool(node.attribute("saturate", 1)))


def along(value: Value, rank: int, axis: int) -> Value:
    """One number, or one for each place along ``axis`` of a tensor of ``rank``, in the shape that broadcasts."""
    shape = shape_of(value)
    if len(shape) != 1 or shape == (1,):
        return value.reshape(()) if isinstance(value, np.ndarray) and value.size == 1 else value
    wide = [1] * rank
    wide[axis] = shape[0]
    return value.reshape(wide) if isinstance(value, np.ndarray) else relax.op.reshape(value, wide)


def _along(node: Node, value: Value | None) -> Value | None:
    """Scale or zero against the tensor: one number, one a place of the axis, or one a block along it."""
    if value is None:
        return None
    shape, sizes = shape_of(value), node.shape(0)
    if int(np.prod(shape)) == 1 and len(shape) < 2:
        return along(value, len(sizes), 0)
    axis, block = _axis(node), int(node.attribute("block_size", 0))
    if len(shape) == 1:
        if shape[0] != sizes[axis]:
            raise Refused(f"it has {shape[0]} scales for {sizes[axis]} places along axis {axis}")
        return _bound(node, along(value, len(sizes), axis))
    wanted = [-(-size // block) if at == axis and block else size for at, size in enumerate(sizes)]
    if not block or list(shape) != wanted:
        raise Refused(f"its scales {list(shape)} do not fit blocks of {block} along axis {axis} of {list(sizes)}")
    if isinstance(value, np.ndarray):
        return np.repeat(value, block, axis).take(np.arange(sizes[axis]), axis)
    repeated = node.emit(relax.op.repeat(value, block, axis))
    return node.emit(relax.op.strided_slice(repeated, [axis], [0], [sizes[axis]]))


def _marked(node: Node, value: Value, scale: Value, zero: Value | None) -> int | None:
    """The axis, where relax.quantize and relax.dequantize can say what the node does; else None."""
    known = isinstance(scale, np.ndarray) and (zero is None or isinstance(zero, np.ndarray))
    sizes = node.shape(0)
    if not known or dtype_of(scale) != "float32" or _named(node, "precision") or dtype_of(value) not in {
        "float32", "int8", "uint8", "int16", "uint16", "int32"
    }:  # fmt: skip
        return None
    shape = shape_of(scale)
    if int(np.prod(shape)) == 1:
        return 0
    axis = _axis(node)
    return axis if len(shape) == 1 and shape[0] == sizes[axis] else None


def _axis(node: Node) -> int:
    axis, rank = int(node.attribute("axis", 1)), len(node.shape(0))
    if not -rank <= axis < rank:
        raise Refused(f"its axis {axis} is none of the {rank} axes of its input")
    return axis % rank


def _named(node: Node, attribute: str) -> str | None:
    """dtype that an attribute names, None where it names none."""
    kind = int(node.attribute(attribute, 0))
    return np.dtype(helper.tensor_dtype_to_np_dtype(kind)).name if kind else None


def _held(node: Node, value: Value) -> Value:
    """Known numbers of fewer than eight bits, or floats of as few, in dtypes that numpy and TVM compute in."""
    if not isinstance(value, np.ndarray):
        if dtype_of(value) in _WHOLE | _REAL:
            return value
        if dtype_of(value) in EIGHTS:
            return cast_to(node, value, "float32")
        raise Refused(f"its input is {dtype_of(value)}, which TVM cannot compute while the model runs")
    if value.dtype.name in _WHOLE | _REAL:
        return value
    return value.astype(np.float32 if "float" in value.dtype.name else np.int8)


def _expression(value: Value | None) -> relax.Expr:
    assert value is not None
    return as_expression(value)


def _bound(node: Node, value: Value) -> Value:
    return value if isinstance(value, np.ndarray) else node.emit(value)
