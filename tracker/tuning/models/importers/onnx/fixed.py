"""Inputs whose value a person fixes: they become constants, and what depends on them is computed while importing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.shapes import fixed_shape

__all__ = ["OPTION", "fix_values"]

#: How a person fixes one, with the input's name.
OPTION = "--fix {}=…"


def fix_values(
    model: onnx.ModelProto, fixed: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[int]], name: str
) -> dict[str, np.ndarray]:
    """Give ``model`` the values ``fixed`` for inputs as constants; a scalar fills the shape that its input has.

    Returns them as the file wants them, for whoever runs it. Raises InputError for an input that does not exist or is
    a constant already, a shape or a dtype that contradicts the file, a dimension that stays open.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: value.type.tensor_type for value in model.graph.input if value.name not in constants}
    found = {}
    for key, given in fixed.items():
        if key not in inputs:
            raise InputError(f"{name} has no input named {key}; its inputs are: {', '.join(inputs) or 'none'}.")
        found[key] = _as_declared(inputs[key], np.asarray(given), shapes, f"{name}: input {key}", key)
        model.graph.initializer.append(numpy_helper.from_array(found[key], key))
    return found


def _as_declared(
    tensor: onnx.TypeProto.Tensor, given: np.ndarray, shapes: Mapping[str, Sequence[int]], what: str, key: str
) -> np.ndarray:
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    with np.errstate(all="ignore"):
        value = given.astype(dtype)
    # Floats round; all else must be what was given.
    if dtype.kind in "iub" and not np.array_equal(value, given):
        raise InputError(f"{what} holds {dtype.name}, and {given.tolist()} is not of that kind.")
    declared = None
    if tensor.HasField("shape"):
        declared = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim]
    if given.ndim or declared is None:
        if declared is not None and not _agree(declared, given.shape):
            raise InputError(f"{what} has shape {given.shape} where it is fixed, and {tuple(declared)} in the file.")
        return value
    return np.full(fixed_shape(what.partition(":")[0], key, declared, shapes), value)


def _agree(declared: Sequence[int | str], shape: Sequence[int]) -> bool:
    known = (size if isinstance(size, int) and size > 0 else None for size in declared)
    return len(declared) == len(shape) and all(k in (None, s) for k, s in zip(known, shape, strict=True))
