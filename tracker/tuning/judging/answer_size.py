"""Answers travel from a board in one message: what does not fit is refused before a board is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

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
    whole = "" if len(outputs) == 1 else f", {_mib(sum(sizes))} with its other outputs"
    raise InputError(
        f"{name} is not tuned: its output {largest.name} takes {_mib(max(sizes))}{whole}, and a board's answer carries "
        f"at most {_mib(limit_bytes)}, without which no tuned kernel could be compared. Give it smaller shapes, or cut "
        "that output off."
    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.4g} MiB"
