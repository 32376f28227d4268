"""How many bytes a task reads and writes at least."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import tvm
from tvm.s_tir import Schedule, ScheduleError

from tvm_farm.tracker.domain import Argument
from tvm_farm.tracker.tuning.checking.sizes import tensor_bytes
from tvm_farm.tracker.tuning.models.graph import ExtractedTask, arguments_of

__all__ = ["bytes_touched", "largest_dtype"]


def bytes_touched(task: ExtractedTask) -> int:
    """Bytes of the arguments that one call reads or writes, each element once; what it keeps for itself is apart.

    Of an argument that is looked up in, a table of embeddings, no more than as many elements as are looked up.
    """
    arguments = arguments_of(task.module)
    both_ways = _accessed(task.module)
    if both_ways is None:
        return sum(map(_bytes, arguments))
    touched = 0
    for parameter, argument in zip(task.module["main"].params, arguments, strict=True):
        for accessed in both_ways:
            elements = sum(count for source, count in accessed if parameter.same_as(source))
            touched += min(_bytes(argument), tensor_bytes((elements,), argument.dtype))
    return touched


def largest_dtype(task: ExtractedTask) -> str:
    """Of the argument with most bytes."""
    return max(arguments_of(task.module), key=_bytes).dtype


def _accessed(module: tvm.ir.IRModule) -> tuple[list[tuple[Any, int]], list[tuple[Any, int]]] | None:
    """Buffers read and buffers written, each with elements by block; None where they cannot be counted."""
    try:
        schedule = Schedule(module, error_render_level="none")
        blocks = [schedule.get(block) for block in schedule.get_child_blocks(schedule.get_sblock("root"))]
        return _regions(blocks, "reads"), _regions(blocks, "writes")
    except (ScheduleError, TypeError):  # no root block; an extent that is not constant
        return None


def _regions(blocks: Iterable[Any], kind: str) -> list[tuple[Any, int]]:
    found = []
    for block in blocks:
        runs = math.prod(int(variable.dom.extent) for variable in block.iter_vars)
        for region in getattr(block, kind):
            found.append((region.source, runs * math.prod(int(size.extent) for size in region.region)))
    return found


def _bytes(argument: Argument) -> int:
    return tensor_bytes(argument.shape, argument.dtype)
