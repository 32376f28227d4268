"""On what answers are compared: a person's own inputs, or random ones that suit the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_dtypes  # noqa: F401 - teaches numpy names such as bfloat16
import numpy as np

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import TensorInfo

__all__ = ["fitting", "given_inputs", "random_inputs", "read_arrays"]


def random_inputs(
    inputs: Sequence[TensorInfo], seed: int, bounds: Mapping[str, range] | None = None
) -> list[np.ndarray]:
    """One array an input. Floats are uniform in [0, 1), as probabilities and images are; booleans and integers are 0 or
    1, as masks are. Bytes without sign are 0 to 255, as images are. ``bounds``: by name, what an integer input
    may be.
    """
    random = np.random.default_rng(seed)
    arrays = []
    for info in inputs:
        dtype = np.dtype(info.dtype)
        if dtype.kind in "iub":
            within = (bounds or {}).get(info.name, range(256 if info.dtype == "uint8" else 2))
            highest = 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)
            arrays.append(random.integers(within.start, min(within.stop, highest + 1), info.shape).astype(dtype))
        elif dtype.kind == "c":
            arrays.append((random.random(info.shape) + 1j * random.random(info.shape)).astype(dtype))
        else:
            arrays.append(np.asarray(random.random(info.shape)).astype(dtype))
    return arrays


def given_inputs(path: Path, inputs: Sequence[TensorInfo], label: str) -> list[np.ndarray]:
    """The arrays of an NPZ file, by the inputs' names. ``label``: the file, for messages.

    Raises InputError: no NPZ file, an array missing, of another shape, or whose values another dtype cannot hold.
    """
    found = read_arrays(path, label, [info.name for info in inputs])
    return [fitting(found[info.name], info, label) for info in inputs]


def read_arrays(path: Path, label: str, wanted: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of an NPZ file: those ``wanted``, or all. ``label`` is the file, for messages.

    Raises InputError where it is no such file, or where one that is wanted is not in it.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
            if missing := [name for name in wanted or () if name not in names]:
                there = ", ".join(sorted(names)) or "nothing"
                raise InputError(f"{label} has no array {missing[0]!r}; it has {there}. Save one by each input's name.")
            return {name: archive[name] for name in (names if wanted is None else wanted)}
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each raise their own at foreign bytes
        raise InputError(f"{label} is no NPZ file that numpy reads ({type(error).__name__}).") from error


def fitting(array: np.ndarray, info: TensorInfo, label: str, taker: str = "the model") -> np.ndarray:
    """``array`` as the dtype that ``taker`` takes. Raises InputError for another shape or lossy values."""
    dtype = np.dtype(info.dtype)
    if array.shape != info.shape:
        raise InputError(f"{label}: {info.name} has shape {array.shape}; {taker} takes {info.shape}.")
    # numpy keeps dtypes that it lacks as bytes
    if array.dtype.kind == "V" and dtype.isbuiltin != 1 and array.itemsize == dtype.itemsize:
        return array.view(dtype)
    if array.dtype.kind not in "biufc" or (array.dtype.kind == "c" and dtype.kind != "c"):
        raise InputError(f"{label}: {info.name} is {array.dtype}; {taker} takes {info.dtype}.")
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    if array.dtype.kind in "iub" and dtype.kind in "iub" and not np.array_equal(converted, array):
        raise InputError(f"{label}: {info.name} holds {array.dtype.name} values that {info.dtype} cannot hold.")
    if array.dtype.kind == "f" and dtype.kind in "iub":
        raise InputError(f"{label}: {info.name} is {array.dtype.name}; {taker} takes {info.dtype}.")
    if array.dtype.kind == "f" and not np.array_equal(np.isinf(array), np.isinf(converted)):
        raise InputError(f"{label}: {info.name} holds {array.dtype.name} values that {info.dtype} cannot hold.")
    return converted
