"""Operators that work on each element by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.tflite.operators.activation import activated
from tvm_farm.tracker.tuning.models.importers.values import Refused, dtype_of

__all__ = ["pairwise"]

Expressions = Callable[..., relax.Expr]


def _number(value: float, like: relax.Expr) -> relax.Expr:
    return relax.const(value, str(like.ty.dtype))


def _gelu(node: Node, x: relax.Expr) -> relax.Expr:
    return relax.op.nn.gelu_tanh(x) if node.option("approximate", False) else relax.op.nn.gelu(x)


def _elu(node: Node, x: relax.Expr) -> relax.Expr:
    low = node.emit(relax.op.minimum(x, _number(0, x)))
    return relax.op.where(relax.op.less(x, _number(0, x)), node.te(_exponential_less_one, low), x)


def _exponential_less_one(x: te.Tensor) -> te.Tensor:
    """``exp(x) - 1``, right near 0 too: by ``tanh(x / 2) * (exp(x) + 1)``."""
    half = tirx.const(0.5, x.dtype)
    one = tirx.const(1, x.dtype)
    return te.compute(x.shape, lambda *at: te.tanh(x(*at) * half) * (te.exp(x(*at)) + one))


def _hard_swish(node: Node, x: relax.Expr) -> relax.Expr:
    inner = relax.op.clip(relax.op.add(x, _number(3, x)), 0, 6)
    return relax.op.divide(relax.op.multiply(x, inner), _number(6, x))


_UNARY: dict[str, Callable[[Node, relax.Expr], relax.Expr]] = {
    "ABS": lambda _, x: relax.op.abs(x),
    "CEIL": lambda _, x: relax.op.ceil(x),
    "COS": lambda _, x: relax.op.cos(x),
    "ELU": _elu,
    "EXP": lambda _, x: relax.op.exp(x),
    "FLOOR": lambda _, x: relax.op.floor(x),
    "GELU": _gelu,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": lambda node, x: relax.op.nn.leakyrelu(x, float(node.option("alpha", 0.0))),
    "LOG": lambda _, x: relax.op.log(x),
    "LOGICAL_NOT": lambda _, x: relax.op.logical_not(x),
    "LOGISTIC": lambda _, x: relax.op.sigmoid(x),
    "NEG": lambda _, x: relax.op.negative(x),
    "RELU": lambda _, x: relax.op.nn.relu(x),
    "RELU6": lambda _, x: relax.op.clip(x, 0, 6),
    "RELU_0_TO_1": lambda _, x: relax.op.clip(x, 0, 1),
    "RELU_N1_TO_1": lambda _, x: relax.op.clip(x, -1, 1),
    "ROUND": lambda _, x: relax.op.round(x),
    "RSQRT": lambda _, x: relax.op.rsqrt(x),
    "SIGN": lambda _, x: relax.op.sign(x),
    "SIN": lambda _, x: relax.op.sin(x),
    "SQRT": lambda _, x: relax.op.sqrt(x),
    "SQUARE": lambda _, x: relax.op.multiply(x, x),
    "TANH": lambda _, x: relax.op.tanh(x),
}


def _unary(compute: Callable[[Node, relax.Expr], relax.Expr], node: Node) -> relax.Expr:
    return compute(node, node.tensor(0))


for _name, _compute in _UNARY.items():
    converter(_name)(partial(_unary, _compute))

_BINARY: dict[str, Expressions] = {
    "ADD": relax.op.add,
    "MAXIMUM": relax.op.maximum,
    "MINIMUM": relax.op.minimum,
    "MUL": relax.op.multiply,
    "SUB": relax.op.subtract,
    "ATAN2": relax.op.atan2,
    "EQUAL": relax.op.equal,
    "GREATER": relax.op.greater,
    "GREATER_EQUAL": relax.op.greater_equal,
    "LESS": relax.op.less,
    "LESS_EQUAL": relax.op.less_equal,
    "NOT_EQUAL": relax.op.not_equal,
    "LOGICAL_AND": relax.op.logical_and,
    "LOGICAL_OR": relax.op.logical_or,
    "BITWISE_XOR": relax.op.bitwise_xor,
}
#: Those whose options name an activation.
_ACTIVATED = {"ADD", "DIV", "MUL", "SUB"}


def _binary(compute: Expressions, node: Node) -> relax.Expr:
    result = compute(node.tensor(0), node.tensor(1))
    return activated(node, node.emit(result)) if node.op in _ACTIVATED else result


for _name, _compute_two in _BINARY.items():
    converter(_name)(partial(_binary, _compute_two))


@converter("DIV")
def div(node: Node) -> relax.Expr:
    if _floating(node):
        return activated(node, node.emit(relax.op.divide(node.tensor(0), node.tensor(1))))
    return activated(node, pairwise(node, tirx.truncdiv))


@converter("FLOOR_DIV")
def floor_div(node: Node) -> relax.Expr:
    if _floating(node):
        return relax.op.floor(node.emit(relax.op.divide(node.tensor(0), node.tensor(1))))
    return pairwise(node, tirx.floordiv)


@converter("FLOOR_MOD")
def floor_mod(node: Node) -> relax.Expr:
    if _floating(node):
        raise Refused("remainders are computed of integers alone")
    return pairwise(node, tirx.floormod)


@converter("POW")
def power(node: Node) -> relax.Expr:
    if not _floating(node):
        raise Refused("powers of integers are not computed")
    return relax.op.power(node.tensor(0), node.tensor(1))


@converter("SQUARED_DIFFERENCE")
def squared_difference(node: Node) -> relax.Expr:
    difference = node.emit(relax.op.subtract(node.tensor(0), node.tensor(1)))
    return relax.op.multiply(difference, difference)


@converter("ADD_N")
def add_n(node: Node) -> relax.Expr:
    total = node.tensor(0)
    for position in range(1, len(node.inputs)):
        total = relax.op.add(total, node.tensor(position))
    return total


@converter("SELECT", "SELECT_V2")
def select(node: Node) -> relax.Expr:
    condition = node.tensor(0)
    if node.op == "SELECT" and len(condition.ty.shape) == 1:  # it chooses whole slices then
        condition = relax.op.reshape(condition, [-1] + [1] * (len(node.outputs[0].shape) - 1))
    return relax.op.where(condition, node.tensor(1), node.tensor(2))


@converter("PRELU")
def prelu(node: Node) -> relax.Expr:
    x = node.tensor(0)
    scaled = relax.op.multiply(x, node.tensor(1))
    return relax.op.where(relax.op.greater_equal(x, _number(0, x)), x, scaled)


@converter("CAST")
def cast(node: Node) -> relax.Expr:
    source, target = node.source(0).dtype, node.outputs[0].dtype
    if target == "bool":
        return relax.op.not_equal(node.tensor(0), relax.const(0, source))
    return relax.op.astype(node.tensor(0), target)


def _floating(node: Node) -> bool:
    return np.dtype(dtype_of(node.value(0))).kind == "f"


def pairwise(node: Node, compute: Callable[[tirx.Expr, tirx.Expr], tirx.Expr]) -> relax.Expr:
    """``compute`` of the elements of both inputs, which are broadcast to the output's shape."""

    def element(x: te.Tensor, places: tuple[tirx.Var, ...]) -> tirx.Expr:
        beside = places[len(places) - len(x.shape) :]
        return x(*(0 if int(size) == 1 else place for size, place in zip(x.shape, beside, strict=True)))

    def each(x: te.Tensor, y: te.Tensor) -> te.Tensor:
        return te.compute(node.outputs[0].shape, lambda *at: compute(element(x, at), element(y, at)))

    return node.te(each, node.tensor(0), node.tensor(1))
