"""Jobs with their tasks, and how workers claim and lose them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tvm_farm.tracker.domain import Job, JobState, TaskPlan
from tvm_farm.tracker.scheduling.job_queue import Turns

__all__ = ["JobLookup", "Jobs"]


class JobLookup(Protocol):
    def get(self, job_id: str) -> Job | None:
        """The job with its tasks and the counters of what was recorded for them."""


class Jobs(JobLookup, Protocol):
    """What people asked for. Times are Unix seconds."""

    def add(self, job: Job, request_id: str, others: Sequence[Job] = ()) -> Job:
        """Keep a new job, and after it the ``others`` of its group; or return the earlier one that came with the same
        non-empty ``request_id``, and keep nothing.

        Raises ValueError for an id that another job has.
        """

    def of_request(self, request_id: str) -> Job | None:
        """The job that was added with ``request_id``."""

    def ids(self, start: str) -> list[str]:
        """At most 10 ids that begin with ``start``; ``start`` itself alone where it is one."""

    def newest(self, state: JobState | None = None, limit: int = 0) -> list[Job]:
        """Jobs without their tasks, newest first; ``limit`` 0 means all.

        ``state`` None: in any but REFUSED, which is no job to come back to.
        """

    def of_group(self, group: str) -> list[Job]:
        """Its jobs with their tasks, in the order in which they were kept; none for "" and for an unknown one."""

    def queue(self, turns: Turns) -> list[str]:
        """Ids of the queued jobs in the order in which ``claim`` gives them, each ending before the next begins."""

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state; a state without any is left out."""

    def change(self, job_id: str, change: Callable[[Job], Job]) -> Job | None:
        """Replace the job by ``change(job)``; the job after it, with tasks. None where there is no such job.

        ``change`` is a pure transition, see domain.job_life: it may be called again where another change came between.
        What it raises is raised and nothing is kept. Tasks and trials are not its to change, its spec only where a job
        that has ended goes on.
        """

    def claim(self, worker_id: str, now: float, turns: Turns) -> Job | None:
        """The queued job whose turn ``turns`` says it is, of equals the oldest; None where none is queued.

        A job of a group has its turn when those kept before it have ended.

        It runs on ``worker_id`` from now on, and comes with its tasks. No two claims get the same job.
        """

    def lose_worker(self, job_id: str, worker_id: str, now: float, *, counts: bool = True) -> Job | None:
        """A job that runs on ``worker_id`` lost it: queued again, or failed at the limit of domain.job_life.Losses.

        A job that is not this worker's any more stays as it is.

        ``counts`` False: the tracker's restart took the worker away, not the job.
        """

    def add_tasks(self, job_id: str, plans: Sequence[TaskPlan]) -> None:
        """Keep tasks and their workloads. A task that is known keeps its counters, so twice is the same as once.

        Raises ValueError where there is no such job.
        """
