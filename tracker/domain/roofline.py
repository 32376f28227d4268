"""What binds a kernel on a device: its arithmetic or its memory.

The roofline of Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model for Multicore
Architectures", CACM 2009: a kernel takes at least as long as its operations at the peak of arithmetic, and as its bytes
at the peak of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from tvm_farm.tracker.domain.check import Peaks, TaskOutlook

__all__ = ["Bound", "attainable_s", "bound", "model_attainable_s"]


class Bound(str, Enum):
    MEMORY = "memory"
    COMPUTE = "compute"


def attainable_s(task: TaskOutlook, peaks: Peaks) -> float:
    """Seconds that a call of ``task`` takes at least."""
    return max(task.flops / peaks.flops_per_s, task.bytes_touched / peaks.bytes_per_s)


def bound(task: TaskOutlook, peaks: Peaks) -> Bound:
    """Which of the two it is; memory where they are equal, as of a task without arithmetic."""
    return Bound.COMPUTE if task.flops / peaks.flops_per_s > task.bytes_touched / peaks.bytes_per_s else Bound.MEMORY


def model_attainable_s(tasks: Sequence[TaskOutlook], peaks: Peaks) -> float:
    """Seconds of all calls of all ``tasks``, one after another."""
    return sum(task.weight * attainable_s(task, peaks) for task in tasks)
