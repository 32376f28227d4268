"""What a job's process says, as its worker passes it on to the tracker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protos.convert import to_message
from protos.farm.v1 import control_pb2, job_pb2
from tracker.domain import JobResult, TaskPlan

__all__ = ["Failed", "Finished", "Progress", "Warm", "to_worker_message"]


@dataclass(frozen=True)
class Progress:
    """``tasks`` is set once, as soon as they are known."""

    phase: str
    tuned_for_s: float = 0.0
    tasks: tuple[TaskPlan, ...] = ()


@dataclass(frozen=True)
class Warm:
    """Of a process that has no job yet: it would start one at once."""


@dataclass(frozen=True)
class Finished:
    result: JobResult


@dataclass(frozen=True)
class Failed:
    """``error`` is for the person who submitted, ``detail`` for the log."""

    error: str
    input_error: bool = False
    detail: str = ""


def to_worker_message(job_id: str, said: Progress | Finished | Failed) -> Any:
    """The WorkerMessage for ``said``."""
    if isinstance(said, Progress):
        progress = control_pb2.JobProgress(job_id=job_id, phase=said.phase, tuned_for_s=said.tuned_for_s)
        progress.tasks.extend(to_message(control_pb2.TaskPlan, task) for task in said.tasks)
        return control_pb2.WorkerMessage(progress=progress)
    finished = control_pb2.JobFinished(job_id=job_id)
    if isinstance(said, Finished):
        finished.result.CopyFrom(to_message(job_pb2.JobResult, said.result))
    else:
        finished.failure.error = said.error
        finished.failure.input_error = said.input_error
        finished.failure.detail = said.detail
    return control_pb2.WorkerMessage(finished=finished)
