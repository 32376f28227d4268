"""Tensor programs of one element at a time, broadcast as ONNX broadcasts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Value, as_expression, shape_of

__all__ = ["HALVES", "broadcast_at", "cast", "constant", "pointwise", "reshaped", "tanh", "widened"]

#: Floats too narrow to compute in: their arithmetic runs in float32, as ONNX Runtime's does.
HALVES = ("float16", "bfloat16")
#: A rational function of x squared, highest power first: Eigen's ptanh (MathFunctionsImpl.h), TVM's fast_tanh too.
_TANH_BOUND = 7.90531110763549805
_TANH_ABOVE = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_TANH_BELOW = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


def pointwise(node: Node, function: Callable[..., Any], *values: Value, name: str = "") -> relax.Var:
    """``function`` of the elements of ``values``, which broadcast together. Known scalars become literals."""
    shape = np.broadcast_shapes(*(shape_of(value) for value in values))
    literal = [value if isinstance(value, np.ndarray) and _literal(value) else None for value in values]
    tensors = [value for value, scalar in zip(values, literal, strict=True) if scalar is None]

    def program(*given: te.Tensor) -> te.Tensor:
        def element(*at: Any) -> Any:
            found = iter(given)
            return function(
                *(
                    tirx.const(scalar.item(), scalar.dtype.name)
                    if scalar is not None
                    else broadcast_at(next(found), at)
                    for scalar in literal
                )
            )

        return te.compute(shape, element, name=name or node.op.lower())

    return node.te(program, *tensors, name=name)


def broadcast_at(tensor: te.Tensor, at: Sequence[Any]) -> Any:
    """Element of ``tensor`` at place ``at`` of the shape that it broadcasts to."""
    own = at[len(at) - len(tensor.shape) :]
    return tensor(*(0 if int(size) == 1 else place for size, place in zip(tensor.shape, own, strict=True)))


def cast(value: Any, dtype: str) -> Any:
    """The element ``value`` as ``dtype``."""
    return value if str(value.ty) == dtype else value.astype(dtype)


def widened(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of elements, computed in float32 where they are float16 or bfloat16."""

    def wide(*elements: Any) -> Any:
        dtype = str(elements[0].ty)
        if dtype not in HALVES:
            return function(*elements)
        return cast(function(*(cast(each, "float32") for each in elements)), dtype)

    return wide


def constant(number: float, like: Any) -> Any:
    """``number`` of the dtype of the element ``like``."""
    return tirx.const(number, str(like.ty))


def tanh(x: Any) -> Any:
    """TVM's own loses all digits of small elements (1 - exp(-2x)); in float32 this one errs by 3e-7 and is faster."""
    if str(x.ty) != "float32":
        return tirx.tanh(x)
    bound = constant(_TANH_BOUND, x)
    inside = tirx.Select(x > bound, bound, tirx.Select(x < -bound, -bound, x))
    above, below = (_polynomial(inside * inside, terms) for terms in (_TANH_ABOVE, _TANH_BELOW))
    return inside * above / below


def _polynomial(x: Any, terms: Sequence[float]) -> Any:
    return reduce(lambda sum_, term: sum_ * x + constant(term, x), terms[1:], constant(terms[0], x))


def reshaped(node: Node, value: Value, shape: Sequence[int]) -> Value:
    """``value`` with other sizes."""
    if shape_of(value) == tuple(shape):
        return value
    if isinstance(value, np.ndarray):
        return value.reshape(tuple(shape))
    return node.emit(relax.op.reshape(as_expression(value), tuple(shape)))


def _literal(value: np.ndarray) -> bool:
    return value.size == 1 and value.dtype.isbuiltin == 1
