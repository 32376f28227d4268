"""Bytes of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ml_dtypes  # noqa: F401 - teaches numpy names such as bfloat16
import numpy as np

__all__ = ["tensor_bytes"]


def tensor_bytes(shape: Sequence[int], dtype: str) -> int:
    """``dtype`` as numpy and TVM name it."""
    return math.prod(shape) * int(np.dtype(dtype).itemsize)
