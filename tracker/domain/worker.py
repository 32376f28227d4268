"""What a tuning worker says, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_farm.tracker.domain.job import Job, TaskPlan
from tvm_farm.tracker.domain.job_result import JobResult

__all__ = [
    "CancelJob",
    "FinishedSeen",
    "JobFailure",
    "JobFinished",
    "JobProgress",
    "StartJob",
    "WorkOrder",
    "WorkerAlive",
    "WorkerHello",
]


@dataclass(frozen=True)
class WorkerHello:
    """Who it is, and the job that it still works on ("" when free)."""

    worker_id: str
    host: str
    pid: int
    versions: dict[str, str] = field(default_factory=dict)
    running_job: str = ""
    protocol_version: int = 0


@dataclass(frozen=True)
class WorkerAlive:
    """``warm``: a process with TVM loaded waits for the next job, which would start at once."""

    warm: bool


@dataclass(frozen=True)
class JobProgress:
    """How far a job is. ``tasks`` come once, as soon as they are known."""

    job_id: str
    phase: str
    tuned_for_s: float = 0.0
    tasks: tuple[TaskPlan, ...] = ()


@dataclass(frozen=True)
class JobFailure:
    """``error`` is one sentence; ``detail`` is for the tracker's log."""

    error: str
    input_error: bool = False
    detail: str = ""


@dataclass(frozen=True)
class JobFinished:
    """What came of a job."""

    job_id: str
    outcome: JobResult | JobFailure


@dataclass(frozen=True)
class StartJob:
    """Run ``job``, instead of whichever runs."""

    job: Job


@dataclass(frozen=True)
class CancelJob:
    """Nobody waits for the job any more."""

    job_id: str


@dataclass(frozen=True)
class FinishedSeen:
    """The job's end is stored: the worker may forget the job."""

    job_id: str


WorkOrder = StartJob | CancelJob | FinishedSeen
