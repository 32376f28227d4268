"""What a tuning worker says."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracker.domain.job import TaskPlan

__all__ = ["JobFailure", "JobProgress", "WorkerHello"]


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
class JobProgress:
    """How far a job is. ``tasks`` come once, as soon as they are known."""

    job_id: str
    phase: str
    tuned_for_s: float
    tasks: tuple[TaskPlan, ...] = ()


@dataclass(frozen=True)
class JobFailure:
    """``error`` is one sentence; ``detail`` is for the tracker's log."""

    error: str
    input_error: bool = False
    detail: str = ""
