"""Arrays in NPZ files and from boards, held against each other without numpy, which ``farm`` does not need.

The format is numpy's own (numpy/lib/format.py): a ZIP file with one ``NAME.npy`` an array.
"""

from __future__ import annotations

import ast
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["Array", "Difference", "difference", "read_arrays"]

_MAGIC = b"\x93NUMPY"
_LARGEST_HEAD = 1 << 16
#: How ``struct`` reads an element; of complex numbers each part. A bfloat16 is the upper half of a float32.
_CODES = {
    "bool": "?",
    "float16": "e",
    "float32": "f",
    "float64": "d",
    "bfloat16": "H",
    "complex64": "f",
    "complex128": "d",
}
_CODES |= {f"{sign}int{8 << n}": code for n in range(4) for sign, code in (("", "bhiq"[n]), ("u", "BHIQ"[n]))}
_BYTES = {name: struct.calcsize(code) * (2 if name.startswith("complex") else 1) for name, code in _CODES.items()}


@dataclass(frozen=True)
class Array:
    """``data`` is row-major and little-endian."""

    shape: tuple[int, ...]
    dtype: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Difference:
    """``largest``: over values that are finite in both. ``finite``: the expected ones had any."""

    largest: float
    equal: bool
    finite: bool


def read_arrays(path: Path, infos: Iterable[Mapping[str, Any]]) -> dict[str, Array]:
    """Of an NPZ file the arrays with the ``name``, ``shape`` and ``dtype`` of ``infos``, as a manifest has them.

    Raises ValueError for another kind of file and for an array that is missing or another one, OSError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {str(info["name"]): _array(archive, info) for info in infos}
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        KeyError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ValueError(f"it is no NPZ file with these arrays ({error})") from None


def _array(archive: zipfile.ZipFile, info: Mapping[str, Any]) -> Array:
    name, shape, dtype = str(info["name"]), tuple(map(int, info["shape"])), str(info["dtype"])
    if dtype not in _CODES:
        raise ValueError(f"{name} is of {dtype}, which cannot be read here")
    size = math.prod(shape) * _BYTES[dtype]
    member = archive.getinfo(f"{name}.npy")
    if not 0 <= member.file_size - size <= _LARGEST_HEAD:
        raise ValueError(f"{name} has {member.file_size} bytes, {dtype}{list(shape)} needs {size}")
    with archive.open(member) as file:
        head = _head(file)  # type: ignore[arg-type]  # a ZipExtFile is read like any other
        data = file.read()
    # numpy keeps dtypes that it lacks as bytes, V2.
    kind = "V" if dtype == "bfloat16" else dtype[0]
    if tuple(head["shape"]) != shape or str(head["descr"])[1:] != f"{kind}{_BYTES[dtype]}" or len(data) != size:
        raise ValueError(f"{name} is {head['descr']}{list(head['shape'])}, not {dtype}{list(shape)}")
    if head["fortran_order"] or str(head["descr"])[0] == ">":
        raise ValueError(f"{name} is not row-major and little-endian")
    return Array(shape, dtype, data)


def _head(file: BinaryIO) -> dict[str, Any]:
    start = file.read(8)
    if start[:6] != _MAGIC:
        raise ValueError("it holds something that is no array")
    layout = "<H" if start[6] == 1 else "<I"
    (size,) = struct.unpack(layout, file.read(struct.calcsize(layout)))
    try:
        head = ast.literal_eval(file.read(min(size, _LARGEST_HEAD)).decode())
        _ = head["shape"], head["descr"], head["fortran_order"]
    except (SyntaxError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"an array's head is damaged ({type(error).__name__})") from None
    return dict(head)


def difference(expected: Array, given: Array, rtol: float, atol: float) -> Difference:
    """How far ``given`` is off. Integers are to be the same, what is not finite is to be so in the same places."""
    if (expected.shape, expected.dtype) != (given.shape, given.dtype):
        return Difference(math.inf, False, True)
    if "int" in expected.dtype or expected.dtype == "bool":
        rtol = atol = 0.0
    largest, equal, finite = 0.0, True, not expected.data
    for want, got in zip(_values(expected), _values(given), strict=True):
        finite = finite or math.isfinite(want)
        if want == got or (want != want and got != got):
            continue
        off = abs(want - got)
        largest = max(largest, off) if math.isfinite(off) else largest
        equal = equal and off <= atol + rtol * abs(want) and math.isfinite(want)
    return Difference(largest, equal, finite)


def _values(array: Array) -> Sequence[float]:
    count = len(array.data) // struct.calcsize(_CODES[array.dtype])
    values = struct.unpack(f"<{count}{_CODES[array.dtype]}", array.data)
    if array.dtype != "bfloat16":
        return values
    return struct.unpack(f"<{count}f", struct.pack(f"<{count}I", *(value << 16 for value in values)))
