"""Values of a graph while it is imported: arrays where they are known, else expressions of static shape."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import tvm
from tvm import relax

__all__ = ["PACKED", "Refused", "Value", "as_expression", "dtype_of", "one_step_away", "shape_of", "whole_bytes"]

#: A value of the graph: known while importing, or computed by the model, then with a static shape.
Value: TypeAlias = "np.ndarray | relax.Expr"
#: Dtypes of which several values share a byte.
PACKED = ("int4", "uint4", "int2", "uint2", "float4_e2m1fn")


class Refused(Exception):
    """A node cannot be imported: its message says why, and begins where 'node N (Op): ' ends.

    ``by``: the value that it depends on, where a person who fixes the model's inputs can help it.
    """

    def __init__(self, why: str, by: relax.Expr | None = None) -> None:
        super().__init__(why)
        self.by = by


def shape_of(value: Value) -> tuple[int, ...]:
    """Static shape of ``value``."""
    if isinstance(value, np.ndarray):
        return value.shape
    return tuple(int(size) for size in value.ty.shape)


def dtype_of(value: Value) -> str:
    """Name of the dtype of ``value``, as numpy with ``ml_dtypes`` and TVM call it."""
    return value.dtype.name if isinstance(value, np.ndarray) else str(value.ty.dtype)


def as_expression(value: Value) -> relax.Expr:
    """``value`` as Relax has it."""
    if not isinstance(value, np.ndarray):
        return value
    whole_bytes(value.dtype.name)
    return relax.const(tvm.runtime.tensor(np.array(value, order="C")), value.dtype.name)


def one_step_away(array: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """``array`` with each float moved to its next one, up or down; others as they are."""
    if array.dtype.kind != "f":
        return array
    towards = np.where(random.random(array.shape) < 0.5, -np.inf, np.inf).astype(array.dtype)
    return np.asarray(np.nextafter(array, towards))


def whole_bytes(dtype: str) -> None:
    """Raises Refused where several values of ``dtype`` share a byte: those can be constants and nothing else."""
    if dtype in PACKED:
        raise Refused(f"it computes {dtype} values, which share bytes: TVM {tvm.__version__} has no kernels for them")
