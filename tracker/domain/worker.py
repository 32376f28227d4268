"""What a tuning worker says."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracker.domain.job import JobResult, TaskPlan

__all__ = ["JobFailure", "JobFinished", "JobProgress", "WorkerAlive", "WorkerHello"]


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
