"""A tensor resampled along some of its axes, by the tables of ``taps``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial, reduce
from itertools import product
from math import gcd, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import te, tirx
from tvm.relax import Expr

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node
from tvm_farm.tracker.tuning.models.importers.onnx.operators.taps import Taps

__all__ = ["resampled"]

#: So many products of an output are written out in one expression; where there are more, an axis follows the other.
_MOST_PRODUCTS = 8
#: A longer sum over one axis is a reduction.
_MOST_WRITTEN = 4
_FLOATS = ("float32", "float64")


def resampled(node: Node, taps: Mapping[int, Taps], fill: float, truncate: bool) -> Expr:
    """Input 0 of ``node`` with each axis in ``taps`` resampled. ``fill``: the value of outputs outside.

    Integers and short floats are computed in float32 (those of 32 bits and more in float64) and brought back:
    without their fraction if ``truncate``, else rounded, half to even, and kept within their range.
    """
    dtype = node.dtype(0)
    plain = all(each.weight is None for each in taps.values())
    wide = dtype if plain or dtype in _FLOATS else "float64" if dtype in ("int32", "int64", "uint32") else "float32"
    arrays: list[NDArray[Any]] = []
    steps = [_Step(axis, each, node.shape(0)[axis], arrays, wide) for axis, each in sorted(taps.items())]
    together = prod(step.count for step in steps) <= _MOST_PRODUCTS
    # The axis that shrinks most comes first: the others have less to do.
    stages = [steps] if together else [[step] for step in sorted(steps, key=lambda step: step.growth)]

    def compute(data: te.Tensor, *given: te.Tensor) -> te.Tensor:
        for stage in stages[:-1]:
            data = _stage(data, stage, given, wide, partial(_filled, stage, given, fill))
        last = stages[-1]
        return _stage(
            data, last, given, wide, lambda v, at: _narrow(_filled(last, given, fill, v, at), dtype, truncate)
        )

    return node.te(compute, node.tensor(0), *arrays)


def _stage(
    data: te.Tensor, steps: Sequence[_Step], given: Sequence[te.Tensor], dtype: str, finish: Callable[[Any, Any], Any]
) -> te.Tensor:
    """``data`` along the axes of ``steps``; long sums are reductions, which can be scheduled."""
    shape = [int(size) for size in data.shape]
    for step in steps:
        shape[step.axis] = step.wanted
    sums = {step: te.reduce_axis((0, step.count), f"k{step.axis}") for step in steps if step.count > _MOST_WRITTEN}

    def total(at: Sequence[Any]) -> Any:
        terms = []
        for choice in product(*((sums[step],) if step in sums else range(step.count) for step in steps)):
            where, factors = list(at), []
            for step, tap in zip(steps, choice, strict=True):
                where[step.axis] = step.index(at[step.axis], tap, given)
                factors += step.weights(at[step.axis], tap, given)
            value = data(*where)
            terms.append(reduce(operator.mul, factors, value.astype(dtype) if factors else value))
        return reduce(operator.add, terms)

    if not sums:
        return te.compute(shape, lambda *at: finish(total(at), at), name="resampled")
    found = te.compute(shape, lambda *at: te.sum(total(at), axis=list(sums.values())), name="resampled")
    return te.compute(shape, lambda *at: finish(found(*at), at), name="finished")


def _filled(steps: Sequence[_Step], given: Sequence[te.Tensor], fill: float, value: Any, at: Any) -> Any:
    for step in steps:
        value = step.filled(value, at[step.axis], given, fill)
    return value


class _Step:
    """One axis: its first input as arithmetic where that is possible, else from a table, and its weights."""

    def __init__(self, axis: int, taps: Taps, given: int, arrays: list[NDArray[Any]], dtype: str) -> None:
        self.axis, self.count, self.wanted = axis, taps.count, len(taps.index)
        self.growth = self.wanted / max(given, 1)
        self.outside = None if taps.outside is None else _added(arrays, taps.outside.astype(np.int8))
        first = taps.index[:, 0]
        self._limit = given - self.count + 1
        self._rule = _rule(first, self._limit, taps.slope)
        self._first = None if self._rule else _added(arrays, first.astype(np.int32))
        self._weight = None if taps.weight is None else _added(arrays, taps.weight.astype(dtype))

    def index(self, at: Any, tap: Any, given: Sequence[te.Tensor]) -> Any:
        if self._first is None:
            assert self._rule is not None
            return self._rule(at) + tap
        # Kept within the axis, for whoever measures the kernel fills its tables with anything.
        return tirx.max(tirx.min(given[self._first](at), self._limit - 1), 0) + tap

    def weights(self, at: Any, tap: Any, given: Sequence[te.Tensor]) -> list[Any]:
        return [] if self._weight is None else [given[self._weight](at, tap)]

    def filled(self, value: Any, at: Any, given: Sequence[te.Tensor], fill: float) -> Any:
        if self.outside is None:
            return value
        return tirx.if_then_else(given[self.outside](at) != 0, tirx.const(fill, value.ty.dtype), value)


def _rule(first: NDArray[np.int64], limit: int, slope: float) -> Callable[[Any], Any] | None:
    """``first`` as (a * i + b) // c, kept within 0 and ``limit`` - 1; None where no such numbers are found."""
    number = np.arange(len(first))
    for most in (2 * len(first), 1 << 12, 1 << 20):
        step = Fraction(slope).limit_denominator(most)
        a, c = 2 * step.numerator, 2 * step.denominator
        # floor((a i + b) / c) = first, but at the edges, where less or more is cut off.
        low = int(np.max((c * first - a * number)[first > 0], initial=-c * limit))
        high = int(np.min((c * (first + 1) - a * number)[first < limit - 1], initial=c * limit)) - 1
        if low <= high:
            b = min(max(0, low), high)
            found = (a * number + b) // c
            return partial(_arithmetic, a, b, c, bool((found < 0).any()), limit if (found >= limit).any() else None)
    return None


def _arithmetic(a: int, b: int, c: int, below: bool, limit: int | None, i: Any) -> Any:
    common = gcd(a, b, c)
    value = i * (a // common) + b // common
    if c != common:
        value = tirx.floordiv(value, c // common)
    if below:
        value = tirx.max(value, 0)
    return value if limit is None else tirx.min(value, limit - 1)


def _narrow(value: Any, dtype: str, truncate: bool) -> Any:
    """``value`` as ``dtype``, see ``resampled``."""
    if str(value.ty.dtype) == dtype:
        return value
    if dtype.startswith(("float", "bfloat")) or truncate:
        return value.astype(dtype)
    limits, wide = np.iinfo(dtype), value.ty.dtype
    value = tirx.min(tirx.nearbyint(value), tirx.const(float(limits.max), wide))
    return tirx.max(value, tirx.const(float(limits.min), wide)).astype(dtype)


def _added(arrays: list[NDArray[Any]], array: NDArray[Any]) -> int:
    arrays.append(array)
    return len(arrays) - 1
