"""Activations inside a recurrence, as expressions of one lane that LLVM keeps in vectors.

A call of libm takes a vector apart. So float32 has its exponential by Cephes' polynomial (``expf``, netlib), and its
hyperbolic tangent as everywhere (``pointwise.tanh``). NaN stays NaN. Other dtypes use libm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from tvm import tirx
from tvm.ir import Expr
from tvm.script.ir_builder import tirx as T

from tvm_farm.tracker.tuning.models.importers.onnx.node import Refused
from tvm_farm.tracker.tuning.models.importers.onnx.operators import pointwise

__all__ = ["Activation", "activations", "clipped", "const", "sigmoid", "tanh"]

_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LN2_HIGH, _LN2_LOW, _LOG2_E = 0.693359375, -2.12194440e-4, 1.44269504088896341
#: exp of these is the smallest normal float32 and nearly the largest.
_EXP_LEAST, _EXP_MOST = -87.3, 88.3


@dataclass(frozen=True)
class Activation:
    """One that ONNX names. ``alpha`` and ``beta`` mean what the operator of this name means by them."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0

    def __call__(self, x: Expr) -> Expr:
        """Its value at ``x``, a float of any width."""
        return _FUNCTIONS[self.name](x, const(self.alpha, x), const(self.beta, x))


def activations(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> list[Activation]:
    """``names`` in the file's order: each takes the next of ``alphas`` and ``betas``, if it has any, else its default.

    Raises Refused for a name that ONNX does not have, or one without default.
    """
    left = iter(alphas), iter(betas)
    return [_activation(name, *left) for name in names]


def clipped(x: Expr, limit: float) -> Expr:
    """``x`` between -``limit`` and ``limit``."""
    return _between(x, -limit, limit)


def const(value: float, like: Expr) -> Expr:
    """``value`` in the dtype of ``like``."""
    return tirx.const(value, _dtype(like))


def sigmoid(x: Expr) -> Expr:
    """1 / (1 + exp(-x))"""
    one = const(1, x)
    return one / (one + _exp(const(0, x) - x))


def tanh(x: Expr) -> Expr:
    """Hyperbolic tangent."""
    return _let(x, pointwise.tanh)


def _exp(x: Expr) -> Expr:
    if _dtype(x) != "float32":
        return T.exp(x)

    def scaled(v: Expr) -> Expr:
        # Truncation is the floor where all is positive; no target calls a function for it.
        return _let(T.Cast("int32", v * const(_LOG2_E, v) + const(128.5, v)), lambda k: by_power(v, k))

    def by_power(v: Expr, k: Expr) -> Expr:
        n = T.Cast("float32", k - 128)
        rest = v - n * const(_LN2_HIGH, v) - n * const(_LN2_LOW, v)
        near = _let(rest, lambda r: _polynomial(r, _EXP) * r * r + r + const(1, r))
        return near * T.reinterpret("float32", T.shift_left(k - 1, tirx.const(23, "int32")))

    return _let(_between(x, _EXP_LEAST, _EXP_MOST), scaled)


def _polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """Horner's scheme, the highest power first."""
    first, *others = (const(value, x) for value in coefficients)
    return reduce(lambda sum_, value: sum_ * x + value, others, first)


def _between(x: Expr, least: float, most: float) -> Expr:
    # Not by min and max: TVM makes numbers of NaN there.
    low, high = const(least, x), const(most, x)
    return _let(x, lambda v: T.Select(v > high, high, T.Select(v < low, low, v)))


def _let(value: Expr, body: Callable[[Expr], Expr]) -> Expr:
    variable = tirx.Var("v", _dtype(value))
    return tirx.Let(variable, value, body(variable))


def _dtype(x: Expr) -> str:
    return str(x.ty.dtype)


def _positive(x: Expr, then: Expr, otherwise: Expr) -> Expr:
    return T.Select(x > const(0, x), then, otherwise)


#: By ONNX's name in small letters: value of x, alpha and beta.
_FUNCTIONS: dict[str, Callable[[Expr, Expr, Expr], Expr]] = {
    "affine": lambda x, a, b: a * x + b,
    "elu": lambda x, a, b: _positive(x, x, a * (_exp(x) - const(1, x))),
    "hardsigmoid": lambda x, a, b: _between(a * x + b, 0, 1),
    "leakyrelu": lambda x, a, b: T.Select(x < const(0, x), a * x, x),
    "relu": lambda x, a, b: T.Select(x < const(0, x), const(0, x), x),
    "scaledtanh": lambda x, a, b: a * tanh(b * x),
    "sigmoid": lambda x, a, b: sigmoid(x),
    # log(1 + exp(x)) that does not overflow
    "softplus": lambda x, a, b: _positive(x, x, const(0, x)) + T.log(const(1, x) + _exp(const(0, x) - T.abs(x))),
    "softsign": lambda x, a, b: x / (const(1, x) + T.abs(x)),
    "tanh": lambda x, a, b: tanh(x),
    "thresholdedrelu": lambda x, a, b: T.Select(x > a, x, const(0, x)),
}
#: Defaults of alpha and beta, None where the function has no such number; those of ONNX's operators of these names.
_DEFAULTS: dict[str, tuple[float | None, float | None]] = {
    "affine": (1.0, 0.0),
    "elu": (1.0, None),
    "hardsigmoid": (0.2, 0.5),
    "leakyrelu": (0.01, None),
    "thresholdedrelu": (1.0, None),
}


def _activation(name: str, alphas: Iterator[float], betas: Iterator[float]) -> Activation:
    small = name.lower()
    if small not in _FUNCTIONS:
        raise Refused(f"ONNX has no activation {name}")
    if small == "scaledtanh":
        alpha, beta = next(alphas, None), next(betas, None)
        if alpha is None or beta is None:
            raise Refused("its activation ScaledTanh lacks alpha or beta, and ONNX gives it none")
        return Activation(small, alpha, beta)
    alpha, beta = _DEFAULTS.get(small, (None, None))
    return Activation(
        small,
        0.0 if alpha is None else next(alphas, alpha),
        0.0 if beta is None else next(betas, beta),
    )
