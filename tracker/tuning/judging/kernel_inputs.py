"""The values that a task's kernels are called with: given by a person, drawn here, or filled by the board."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import tvm

from tvm_farm.tracker.domain import Argument
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.graph import arguments_of
from tvm_farm.tracker.tuning.models.index_ranges import ValueRange, value_ranges

__all__ = ["KernelInputs", "kernel_inputs"]

#: More than this travels once a job, in a file that devices keep, and not with each trial.
_MAX_INLINE_BYTES = 16 << 10


@dataclass(frozen=True)
class KernelInputs:
    """``values``: arrays by position, of the arguments that the board does not fill. ``ranges``: of those drawn here.

    ``unproven``: arguments that index or divide, of which nobody knows what they may be.
    """

    arguments: tuple[Argument, ...]
    values: Mapping[int, np.ndarray] = field(default_factory=dict, repr=False)
    ranges: Mapping[int, ValueRange] = field(default_factory=dict)
    unproven: tuple[int, ...] = ()

    @property
    def params(self) -> dict[str, tvm.runtime.Tensor]:
        """What is to lie in the parameter file of each request, by the names that ``arguments`` have for it."""
        named = {at: argument.param for at, argument in enumerate(self.arguments) if argument.param is not None}
        return {name: tvm.runtime.tensor(self.values[at]) for at, name in named.items()}

    @property
    def digest(self) -> str:
        """Equal where ``values`` are, "" where the board fills all: timings by other values are others."""
        if not self.values:
            return ""
        sha = hashlib.sha256()
        for at, array in sorted(self.values.items()):
            sha.update(f"{at} {array.dtype} {array.shape} ".encode() + array.tobytes())
        return sha.hexdigest()[:16]


def kernel_inputs(module: tvm.ir.IRModule, given: Mapping[int, np.ndarray] | None = None) -> KernelInputs:
    """What the kernels of a task are called with. ``given``: arrays by position; of the others, integers that index
    or divide are drawn from what they may be, always the same, and the rest is filled by the board.

    Raises InputError for given ones that index what is not there.
    """
    arguments = list(arguments_of(module))
    ranges = value_ranges(module["main"])
    values = dict(given or {})
    for at, array in values.items():
        _check(array, ranges.get(at), str(module["main"].params[at].name))
    drawn = {at: each for at, each in ranges.items() if each.proven and at not in values}
    for at, each in drawn.items():
        values[at] = _drawn(each, arguments[at], np.random.default_rng(at))
    inline = sum(array.nbytes for array in values.values()) <= _MAX_INLINE_BYTES
    for at, array in values.items():
        source = {"data": array.tobytes()} if inline else {"param": f"argument {at}"}
        arguments[at] = replace(arguments[at], fill_seed=None, **source)
    unproven = tuple(at for at, each in ranges.items() if not each.proven and at not in values)
    return KernelInputs(tuple(arguments), values, drawn, unproven)


def _check(array: np.ndarray, bounds: ValueRange | None, name: str) -> None:
    if bounds is None or not bounds.extent or not array.size:
        return
    wrong = np.argwhere((array < 0) | (array >= bounds.extent))
    if len(wrong):
        at = tuple(map(int, wrong[0]))
        place = f"[{', '.join(map(str, at))}]"
        raise InputError(f"{name}{place} is {array[at]}, and it indexes a dimension of {bounds.extent}.")


def _drawn(bounds: ValueRange, argument: Argument, random: np.random.Generator) -> np.ndarray:
    values = random.integers(bounds.low, bounds.high, argument.shape, dtype=np.dtype(argument.dtype))
    if bounds.ascending and values.size:
        values = np.sort(values, axis=-1)
        values[..., 0], values[..., -1] = bounds.low, bounds.high - 1
    return values
