"""Arithmetic of two and more tensors: broadcasting of every version, integers of every sign."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import (
    broadcast_at,
    cast,
    constant,
    pointwise,
    reshaped,
    widened,
)

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_RELAX: dict[str, Callable[..., relax.Expr]] = {
    "Add": relax.op.add,
    "Sub": relax.op.subtract,
    "Mul": relax.op.multiply,
    "And": relax.op.logical_and,
    "Or": relax.op.logical_or,
    "Xor": relax.op.logical_xor,
    "Less": relax.op.less,
    "LessOrEqual": relax.op.less_equal,
    "Greater": relax.op.greater,
    "GreaterOrEqual": relax.op.greater_equal,
    "Equal": relax.op.equal,
    "BitwiseAnd": relax.op.bitwise_and,
    "BitwiseOr": relax.op.bitwise_or,
    "BitwiseXor": relax.op.bitwise_xor,
}


@converter(*_RELAX)
def binary(node: Node) -> relax.Var:
    a, b = _operands(node)
    return node.emit(_RELAX[node.op](as_expression(a), as_expression(b)))


@converter("Div")
def divide(node: Node) -> relax.Var:
    a, b = _operands(node)
    if dtype_of(a) not in _FLOATS:
        return pointwise(node, lambda x, y: _by_nonzero(tirx.truncdiv, x, y), a, b)
    if isinstance(b, np.ndarray) and not b.all():
        # TVM 0.27 refuses to compile a division by a constant 0. A product with infinity is the same in every case.
        zero = b == 0
        infinite = np.where(zero, np.copysign(np.inf, b), 1).astype(b.dtype)
        a, b = (
            node.emit(relax.op.multiply(as_expression(a), as_expression(infinite))),
            np.where(zero, 1, b).astype(b.dtype),
        )
    return node.emit(relax.op.divide(as_expression(a), as_expression(b)))


@converter("Mod")
def modulo(node: Node) -> relax.Var:
    a, b = _operands(node)
    fmod = bool(node.attribute("fmod", 0))
    if dtype_of(a) not in _FLOATS:
        rule = tirx.truncmod if fmod else tirx.floormod
        return pointwise(node, lambda x, y: _by_nonzero(rule, x, y), a, b)
    return pointwise(node, widened(tirx.truncmod if fmod else _float_floor_mod), a, b)


@converter("Pow")
def power(node: Node) -> Value:
    a, b = _operands(node)
    kind = dtype_of(a)
    floats = kind in _FLOATS
    if isinstance(b, np.ndarray) and b.size == 1 and b.ndim <= len(shape_of(a)):
        exponent = float(b.item())
        if exponent in (1, 2, 3):
            return pointwise(node, lambda x: reduce(lambda y, _: y * x, range(int(exponent) - 1), x), a)
        if exponent == 0.5 and floats:
            return pointwise(node, widened(_root), a)
    if not floats and dtype_of(b) not in _FLOATS:
        return _integer_power(node, a, b)
    wide = "float32" if floats and kind != "float64" and dtype_of(b) != "float64" else "float64"
    return pointwise(node, lambda x, y: cast(tirx.power(cast(x, wide), cast(y, wide)), kind), a, b)


@converter("BitShift")
def shift(node: Node) -> relax.Var:
    a, b = _operands(node)
    bits = np.dtype(dtype_of(a)).itemsize * 8
    left, signed = node.attribute("direction") == "LEFT", dtype_of(a).startswith("int")

    def element(x: Any, y: Any) -> Any:
        zero = tirx.const(0, str(x.ty))
        # Asked of int64: TVM's simplifier would subtract beyond zero in the unsigned type.
        count = cast(y, "int64")
        inside = tirx.And(count >= tirx.const(0, "int64"), count < tirx.const(bits, "int64"))
        by = tirx.Select(inside, y, tirx.const(0, str(y.ty)))
        if left:
            return tirx.Select(inside, tirx.shift_left(x, by), zero)
        emptied = tirx.Select(x < zero, tirx.const(-1, str(x.ty)), zero) if signed else zero
        return tirx.Select(inside, tirx.shift_right(x, by), emptied)

    return pointwise(node, element, a, b)


@converter("Max", "Min")
def extreme(node: Node) -> Value:
    """NaN where any is NaN, as numpy and ONNX Runtime have it."""
    floats = node.dtype(0) in _FLOATS

    def element(x: Any, y: Any) -> Any:
        beats = x > y if node.op == "Max" else x < y
        return tirx.Select(tirx.Or(beats, tirx.isnan(x)) if floats else beats, x, y)

    values = [node.value(number) for number in range(len(node.inputs))]
    return reduce(lambda a, b: pointwise(node, element, a, b), values[1:], values[0])


@converter("Sum", "Mean")
def total(node: Node) -> Value:
    values = [node.value(number) for number in range(len(node.inputs))]
    found = reduce(lambda a, b: node.emit(relax.op.add(as_expression(a), as_expression(b))), values[1:], values[0])
    if node.op == "Sum" or len(values) == 1:
        return found
    return node.emit(relax.op.divide(as_expression(found), relax.const(len(values), dtype_of(found))))


def _operands(node: Node) -> tuple[Value, Value]:
    """Both inputs; before opset 7 the second one is laid along ``axis`` of the first."""
    a, b = node.value(0), node.value(1)
    if node.opset >= 7 or "axis" not in {each.name for each in node.proto.attribute}:
        return a, b
    axis = int(node.attribute("axis"))
    axis += len(shape_of(a)) if axis < 0 else 0
    behind = len(shape_of(a)) - axis - len(shape_of(b))
    if behind < 0:
        raise Refused(f"its second input has more dimensions than the first has from axis {axis} on")
    return a, reshaped(node, b, (*shape_of(b), *(1,) * behind))


def _by_nonzero(rule: Callable[..., Any], x: Any, y: Any) -> Any:
    """``rule`` of two integers; where the divisor is zero, which ONNX leaves undefined, the processor must not trap."""
    if isinstance(y, tirx.IntImm):
        if int(y) == 0:
            raise Refused("it divides integers by zero")
        return rule(x, y)
    return rule(x, tirx.Select(y == tirx.const(0, str(y.ty)), tirx.const(1, str(y.ty)), y))


def _float_floor_mod(x: Any, y: Any) -> Any:
    """Sign of the divisor, zeros and infinities included: IEEE's fmod, moved by one divisor where signs differ."""
    zero = tirx.const(0, str(x.ty))
    rest = tirx.truncmod(x, y)
    alike = tirx.Or(tirx.And(rest < zero, y < zero), tirx.And(rest > zero, y > zero))
    moved = tirx.Select(alike, rest, rest + y)
    return tirx.Select(rest == zero, tirx.copysign(zero, y), moved)


def _root(x: Any) -> Any:
    """The power of a half, which unlike the square root is 0 of -0 and infinite of -inf."""
    zero, infinity = tirx.const(0, str(x.ty)), tirx.infinity(str(x.ty))
    return tirx.Select(x == zero, zero, tirx.Select(x == -infinity, infinity, tirx.sqrt(x)))


def _integer_power(node: Node, a: Value, b: Value) -> relax.Var:
    """A product of as many factors. Beyond 63 all but the powers of 0, 1 and -1 overflow: those go by parity."""
    shape = np.broadcast_shapes(shape_of(a), shape_of(b))

    def program(x: te.Tensor, y: te.Tensor) -> te.Tensor:
        factor = te.reduce_axis((0, 64), name="factor")

        def element(*at: Any) -> Any:
            base, exponent = broadcast_at(x, at), broadcast_at(y, at).astype("int64")
            one, limit = constant(1, base), tirx.const(63, "int64")
            odd = tirx.bitwise_and(exponent, tirx.const(1, "int64"))
            steps = tirx.Select(exponent > limit, odd + tirx.const(62, "int64"), exponent)
            # Below zero stay the powers of 1 and -1, for the others round to zero.
            unit = tirx.Or(base == one, base == constant(-1, base)) if "uint" not in str(base.ty) else base == one
            steps = tirx.Select(steps < tirx.const(0, "int64"), odd, steps)
            taken = tirx.Select(factor.var.astype("int64") < steps, base, one)
            gone = tirx.And(exponent < tirx.const(0, "int64"), tirx.Not(unit))
            return _PRODUCT(tirx.Select(gone, constant(0, base), taken), axis=factor)

        return te.compute(shape, element, name="power")

    return node.te(program, a, b)


_PRODUCT = te.comm_reducer(lambda x, y: x * y, lambda dtype: tirx.const(1, dtype), name="product")
