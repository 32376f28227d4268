"""Answers held against answers: what counts as equal, and what the difference is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ml_dtypes  # noqa: F401 - teaches numpy names such as bfloat16
import numpy as np

from tvm_farm.tracker.domain import OutputTensor
from tvm_farm.tracker.tuning.errors import FarmFailure

__all__ = ["TOLERANCES", "Comparison", "Tolerance", "arrays_of", "compare"]

#: Relative tolerance, and absolute tolerance as a share of the largest value of the reference, of one operator.
TOLERANCES = {
    "float64": (1e-8, 1e-10),
    "float32": (1e-4, 1e-5),
    "float16": (1e-2, 2e-3),
    "bfloat16": (5e-2, 1e-2),
}
_BYTES = ("int8", "uint8")
#: Rounding errors of a chain of operators add up like steps at random, by the root of their number; beyond this depth
#: normalizations keep them from growing.
_DEEPEST = 100


@dataclass(frozen=True)
class Tolerance:
    """How far answers may differ. ``depth``: operators between input and output.

    ``quantum``: where the model computes with integers of 8 bits, the share of the largest value that one step of
    theirs may make, 0 elsewhere. Rounding may fall on the other side in any operator.
    """

    depth: int = 1
    quantum: float = 0.0

    def of(self, dtype: str) -> tuple[float, float]:
        """(relative, absolute as a share of the largest value). Booleans and integers are to be the same, but for bytes
        where the model computes in them.
        """
        relative, absolute = TOLERANCES.get(dtype, (0.0, 0.0))
        grown = math.sqrt(min(max(self.depth, 1), _DEEPEST)) if self.depth > 1 else 1.0
        return relative * grown, max(absolute * grown, self.quantum if relative or dtype in _BYTES else 0.0)


@dataclass(frozen=True)
class Comparison:
    """``max_abs_diff``: over all finite values. ``rtol``, ``atol``: the loosest that applied. ``finite``: some value of
    the reference is, so that something was compared. ``wrong``: the first output that differs and how, "" where none.
    """

    max_abs_diff: float
    rtol: float
    atol: float
    equal: bool
    finite: bool
    wrong: str = ""


def compare(
    reference: Sequence[np.ndarray],
    other: Sequence[np.ndarray],
    tolerance: Tolerance = Tolerance(),
    names: Sequence[str] = (),
    floors: Sequence[float] = (),
) -> Comparison:
    """Values that are not finite must be the same in the same places. ``floors``: for each output a difference that
    means nothing, however small its values are. Raises FarmFailure where outputs are missing.
    """
    if len(reference) != len(other):
        raise FarmFailure(f"one model gave {len(reference)} outputs and the other {len(other)}")
    largest, rtol, atol, wrong, finite = 0.0, 0.0, 0.0, "", False
    for number, (expected, given) in enumerate(zip(reference, other, strict=True)):
        name = names[number] if number < len(names) else f"output {number}"
        relative, share = tolerance.of(expected.dtype.name)
        left = _comparable(expected)
        there = np.isfinite(left)
        finite = finite or bool(there.any()) or not left.size
        if expected.shape != given.shape or expected.dtype != given.dtype:
            wrong = wrong or f"{name} is {_told(given)} where {_told(expected)} is expected"
            continue
        right = _comparable(given)
        absolute = share * (float(np.max(np.abs(left[there]), initial=0.0)) or 1.0)
        absolute = max(absolute, floors[number] if number < len(floors) and relative else 0.0)
        rtol, atol = max(rtol, relative), max(atol, absolute)
        both = there & np.isfinite(right)
        with np.errstate(all="ignore"):
            differences = np.where(both, np.abs(left - right), 0.0)
        largest = max(largest, float(np.max(differences, initial=0.0)))
        exact = not relative and not absolute  # numpy would compare integers as doubles
        same = left == right if exact else np.isclose(right, left, relative, absolute, equal_nan=True)
        if not same.all() and not wrong:
            wrong = f"{name}{_worst(differences, same, left, right)}"
    return Comparison(largest, rtol, atol, not wrong, finite, wrong)


def arrays_of(outputs: Sequence[OutputTensor]) -> list[np.ndarray]:
    """What a board sent, as arrays of their own dtypes."""
    return [np.frombuffer(each.data, dtype=np.dtype(each.dtype)).reshape(each.shape) for each in outputs]


def _comparable(array: np.ndarray) -> np.ndarray:
    """64-bit integers stay as they are: a double holds 53 of their bits."""
    return array if array.dtype.kind in "iu" and array.itemsize == 8 else array.astype(np.float64)


def _told(array: np.ndarray) -> str:
    return f"{array.dtype.name}{list(array.shape)}"


def _worst(differences: np.ndarray, same: np.ndarray, left: np.ndarray, right: np.ndarray) -> str:
    at = np.unravel_index(int(np.argmax(np.where(same, -1.0, differences))), same.shape)
    place = f"[{','.join(map(str, at))}]" if at else ""
    return f"{place} is {right[at]:.6g} where {left[at]:.6g} is expected"
