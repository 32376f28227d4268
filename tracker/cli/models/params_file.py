"""What a parameter file holds, without loading it: names, shapes and dtypes.

The file is TVM's own (``runtime.SaveParamsToFile``; src/runtime/file_utils.cc): names, then tensors, each with its
head before its bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["read_param_types"]

_LIST_MAGIC, _TENSOR_MAGIC = 0xF7E58D4F05049CB7, 0xDD5E40F096B4A13F
_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 6: "bool"}  # DLDataTypeCode


def read_param_types(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of each parameter by its name. Raises ValueError for another kind of file, OSError."""
    with path.open("rb") as file:
        magic, _, names = _take(file, "<QQQ")
        if magic != _LIST_MAGIC:
            raise ValueError("it is no parameter file of TVM")
        found = [_bytes(file, _take(file, "<Q")[0]).decode() for _ in range(names)]
        (tensors,) = _take(file, "<Q")
        if tensors != names:
            raise ValueError("it has not as many tensors as names")
        return {name: _tensor(file) for name in found}


def _tensor(file: BinaryIO) -> tuple[tuple[int, ...], str]:
    magic, _, _, _, ndim, code, bits, lanes = _take(file, "<QQiiiBBH")
    if magic != _TENSOR_MAGIC or not 0 <= ndim <= 32 or lanes != 1 or code not in _KINDS:
        raise ValueError("it holds something that is no tensor")
    shape = _take(file, f"<{ndim}q")
    (size,) = _take(file, "<Q")
    file.seek(size, 1)
    return shape, "bool" if _KINDS[code] == "bool" else f"{_KINDS[code]}{bits}"


def _take(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, _bytes(file, struct.calcsize(layout)))


def _bytes(file: BinaryIO, size: int) -> bytes:
    data = file.read(min(size, 1 << 20))
    if len(data) != size:
        raise ValueError("it ends too early")
    return data
