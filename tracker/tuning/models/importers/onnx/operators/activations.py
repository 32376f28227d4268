"""Functions of one tensor's elements."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from tvm import relax, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Value, converter
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import (
    constant,
    pointwise,
    reshaped,
    tanh,
    widened,
)

#: Defaults of ONNX, as they round in float32.
_SELU = (1.67326319217681884765625, 1.05070102214813232421875)


@converter("Elu")
def elu(node: Node) -> relax.Var:
    alpha = float(node.attribute("alpha", 1.0))
    return pointwise(node, widened(lambda x: _elu(x, alpha)), node.value(0))


@converter("Celu")
def celu(node: Node) -> relax.Var:
    alpha = float(node.attribute("alpha", 1.0))
    return pointwise(node, widened(lambda x: _elu(x, alpha, x / constant(alpha, x))), node.value(0))


@converter("Selu")
def selu(node: Node) -> relax.Var:
    alpha, gamma = (float(node.attribute(n, d)) for n, d in zip(("alpha", "gamma"), _SELU, strict=True))
    return pointwise(node, widened(lambda x: constant(gamma, x) * _elu(x, alpha)), node.value(0))


@converter("ThresholdedRelu")
def thresholded_relu(node: Node) -> relax.Var:
    alpha = float(node.attribute("alpha", 1.0))
    return pointwise(node, lambda x: tirx.Select(x > constant(alpha, x), x, constant(0, x)), node.value(0))


@converter("Softplus")
def softplus(node: Node) -> relax.Var:
    return pointwise(node, widened(_softplus), node.value(0))


@converter("Mish")
def mish(node: Node) -> relax.Var:
    return pointwise(node, widened(_mish), node.value(0))


@converter("Tanh")
def hyperbolic_tangent(node: Node) -> relax.Var:
    return pointwise(node, widened(tanh), node.value(0))


@converter("HardSigmoid")
def hard_sigmoid(node: Node) -> relax.Var:
    alpha, beta = float(node.attribute("alpha", 0.2)), float(node.attribute("beta", 0.5))
    return pointwise(node, widened(lambda x: _unit(x * constant(alpha, x) + constant(beta, x))), node.value(0))


@converter("HardSwish")
def hard_swish(node: Node) -> relax.Var:
    return pointwise(node, widened(lambda x: x * _unit(x * constant(1 / 6, x) + constant(0.5, x))), node.value(0))


@converter("IsInf")
def is_infinite(node: Node) -> relax.Var:
    above, below = bool(node.attribute("detect_positive", 1)), bool(node.attribute("detect_negative", 1))

    def element(x: Any) -> Any:
        infinity = tirx.infinity(str(x.ty))
        found = [x == bound for bound, wanted in ((infinity, above), (-infinity, below)) if wanted]
        return tirx.Or(*found) if len(found) == 2 else found[0] if found else tirx.const(False, "bool")

    return pointwise(node, widened_test(element), node.value(0))


@converter("PRelu")
def prelu(node: Node) -> relax.Var:
    """Before opset 7 a slope of one dimension lies along the channels."""
    slope, rank = node.value(1), len(node.shape(0))
    if node.opset < 7 and len(node.shape(1)) == 1 and rank > 1 and node.shape(1)[0] != 1:
        slope = reshaped(node, slope, (node.shape(1)[0], *(1,) * (rank - 2)))
    return pointwise(node, lambda x, by: tirx.Select(x < constant(0, x), x * by, x), node.value(0), slope)


@converter("Clip")
def clip(node: Node) -> Value:
    """Where the bounds cross, the upper one wins; NaN among the elements stays."""
    if node.opset < 11:
        kind = np.float32
        given = [node.attribute(name) for name in ("min", "max")]
        low, high = (None if bound is None else np.array(bound, kind) for bound in given)
    else:
        low, high = (node.value(number) if node.has(number) else None for number in (1, 2))
    bounds = [(bound, is_low) for bound, is_low in ((low, True), (high, False)) if bound is not None]
    if not bounds:
        return node.value(0)

    def element(x: Any, *limits: Any) -> Any:
        for limit, (_, is_low) in zip(limits, bounds, strict=True):
            limit = limit.astype(str(x.ty))
            x = tirx.Select(x < limit if is_low else x > limit, limit, x)
        return x

    return pointwise(node, element, node.value(0), *(reshaped(node, bound, ()) for bound, _ in bounds))


def widened_test(element: Any) -> Any:
    """``element``, an element's test, asked of float32 where the elements are narrower."""

    def wide(x: Any) -> Any:
        return element(x.astype("float32") if str(x.ty) in ("float16", "bfloat16") else x)

    return wide


def _elu(x: Any, alpha: float, inner: Any = None) -> Any:
    return tirx.Select(
        x > constant(0, x), x, constant(alpha, x) * (tirx.exp(x if inner is None else inner) - constant(1, x))
    )


def _softplus(x: Any) -> Any:
    """log(1 + exp(x)) without overflow, small answers exact. The series is that of 2 atanh(t / (2 + t)), t <= 1."""
    zero = constant(0, x)
    term = tirx.exp(tirx.Select(x > zero, -x, x))
    ratio = term / (term + constant(2, x))
    square, last = ratio * ratio, 35 if str(x.ty) == "float64" else 15
    series = reduce(lambda sum_, odd: sum_ * square + constant(2 / odd, x), range(last, 0, -2), zero)
    return tirx.Select(x > zero, x, zero) + ratio * series


def _mish(x: Any) -> Any:
    """tanh(log(1 + e)) is n / (n + 2) with n = e (e + 2), and 1 in floating point where x is above 20."""
    top = constant(20, x)
    term = tirx.exp(tirx.Select(x > top, top, x))
    number = term * (term + constant(2, x))
    return tirx.Select(x > top, x, x * (number / (number + constant(2, x))))


def _unit(x: Any) -> Any:
    return tirx.Select(x < constant(0, x), constant(0, x), tirx.Select(x > constant(1, x), constant(1, x), x))
