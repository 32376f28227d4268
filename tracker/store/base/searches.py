"""What the searches of jobs did."""

from __future__ import annotations

from typing import Protocol

from tvm_farm.tracker.domain import Job, SearchStep

__all__ = ["Searches"]


class Searches(Protocol):
    def add(self, job_id: str, step: SearchStep) -> None:
        """Keep a step of the job's search. One whose number was kept before is not kept again.

        Raises ValueError where there is no such job.
        """

    def steps(self, job_id: str, after: int, limit: int) -> list[SearchStep]:
        """At most ``limit`` steps of the job's search with a number above ``after``, in their order."""

    def alike(self, job: Job) -> str | None:
        """Another tuning job that asked for the same (domain.search_key) on the same target and class, and has
        searched; of several the one with most trials.
        """
