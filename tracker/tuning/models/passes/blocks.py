"""Values whose channels are in blocks, borders around them, and constants beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax

__all__ = ["Blocks", "Border", "border_of", "constant_beside", "shape_of"]


@dataclass(frozen=True)
class Blocks:
    """``value`` [n, c / block, h, w, block]; ``last``: the model has it as [n, h, w, c], else as [n, c, h, w]."""

    value: relax.Var
    last: bool

    @property
    def block(self) -> int:
        return shape_of(self.value)[4]


@dataclass(frozen=True)
class Border:
    """``call`` pads ``source``, both of the model, with ``value``: top, left, bottom, right."""

    call: relax.Call
    source: relax.Expr
    padding: list[int]
    value: int


def border_of(call: relax.Call, last: bool) -> Border | None:
    """``call``, a ``nn.pad``, as a border where it pads rows and columns alone, with one whole number."""
    value = float(call.attrs.pad_value)
    if str(call.attrs.pad_mode) != "constant" or len(call.attrs.pad_width) != 8 or not value.is_integer():
        return None
    pairs = [(int(call.attrs.pad_width[at]), int(call.attrs.pad_width[at + 1])) for at in (0, 2, 4, 6)]
    (top, bottom), (left, right) = pairs[1:3] if last else pairs[2:]
    if sum(map(sum, pairs)) != top + bottom + left + right:
        return None
    return Border(call, call.args[0], [top, left, bottom, right], int(value))


def constant_beside(array: NDArray[Any], beside: Blocks) -> relax.Expr | None:
    """A constant of the model that is broadcast to ``beside``, on the same blocks; None where it does not suit them."""
    if array.size == 1:
        return relax.const(array.reshape(()))
    if array.ndim > 4:
        return None
    array = array.reshape((1,) * (4 - array.ndim) + array.shape)
    if beside.last:
        array = array.transpose(0, 3, 1, 2)
    shape, block = array.shape, beside.block
    if shape[1] == 1:
        return relax.const(np.ascontiguousarray(array.reshape(*shape, 1)))
    if shape[1] % block:
        return None
    blocked = array.reshape(shape[0], shape[1] // block, block, *shape[2:]).transpose(0, 1, 3, 4, 2)
    return relax.const(np.ascontiguousarray(blocked))


def shape_of(value: relax.Expr) -> list[int]:
    """The static shape of ``value``."""
    return [int(size) for size in value.ty.shape]
