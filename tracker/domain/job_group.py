"""What became of one request: a job, or a job for each of several classes of device."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.tracker.domain.job import Job, JobSpec, JobState
from tvm_farm.tracker.domain.job_result import JobResult

__all__ = ["JobGroup"]


@dataclass(frozen=True)
class JobGroup:
    """Jobs that are named, watched and ended together. A job is a group of one, also a job of several named by itself.

    Raises ValueError where there is no job.
    """

    #: In the order in which they run.
    jobs: tuple[Job, ...]

    def __post_init__(self) -> None:
        if not self.jobs:
            raise ValueError("a group has at least one job")

    @property
    def first(self) -> Job:
        return self.jobs[0]

    @property
    def alone(self) -> bool:
        """Whether it is one job."""
        return len(self.jobs) == 1

    @property
    def id(self) -> str:
        """What names all of its jobs and no other."""
        return self.first.id if self.alone else self.first.group

    @property
    def spec(self) -> JobSpec:
        """What was asked: the same of each job but for its limits and its class."""
        return self.first.spec

    @property
    def state(self) -> JobState:
        """Queued while all are, running until the last has ended; then done if all are, else failed if any has."""
        states = {job.state for job in self.jobs}
        if len(states) == 1:
            return states.pop()
        if not all(state.final for state in states):
            return JobState.RUNNING
        return JobState.FAILED if states & {JobState.FAILED, JobState.REFUSED} else JobState.CANCELLED

    @property
    def results(self) -> dict[str, JobResult]:
        """Of those that are done, by device class."""
        return {job.device_class: job.result for job in self.done if job.result is not None}

    @property
    def ended(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.state.final)

    @property
    def done(self) -> tuple[Job, ...]:
        """Those that ended with a result."""
        return tuple(job for job in self.jobs if job.state is JobState.DONE and job.result is not None)

    @property
    def without_result(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.result is None)

    def title(self, job: Job) -> str:
        """The model's name, with the class of ``job`` where there are others."""
        return job.spec.model_name if self.alone else f"{job.spec.model_name} on {job.device_class}"
