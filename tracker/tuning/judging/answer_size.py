"""Answers travel from a board in one message: what does not fit is refused before a board is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tvm_farm.protos import quantities
from tvm_farm.protos.channel import OUTPUTS_BYTES
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.base import TensorInfo

__all__ = ["check_answer_size"]


def check_answer_size(outputs: Sequence[TensorInfo], name: str, limit_bytes: int = OUTPUTS_BYTES) -> None:
    """Raises InputError, which names the largest, where ``outputs`` take more than ``limit_bytes`` together."""
    sizes = [math.prod(info.shape) * np.dtype(info.dtype).itemsize for info in outputs]
    if sum(sizes) <= limit_bytes:
        return
    largest = outputs[sizes.index(max(sizes))]
    whole = "" if len(outputs) == 1 else f", {quantities.size(sum(sizes))} with its other outputs"
    limit = quantities.size(limit_bytes)
    raise InputError(
        f"{name} is not tuned: its output {largest.name} takes {quantities.size(max(sizes))}{whole}, and a board's "
        f"answer carries at most {limit}, without which no tuned kernel could be compared. Give it smaller shapes, or "
        "cut that output off."
    )
