"""What the searches of jobs did."""

from __future__ import annotations

from tvm_farm.tracker.domain import Job, JobKind, SearchStep
from tvm_farm.tracker.domain.search import search_key
from tvm_farm.tracker.store.encoding import encode
from tvm_farm.tracker.store.memory.jobs import MemoryJobs

__all__ = ["MemorySearches"]


class MemorySearches:
    def __init__(self, jobs: MemoryJobs) -> None:
        self._jobs = jobs
        self._steps: dict[str, dict[int, SearchStep]] = {}

    def add(self, job_id: str, step: SearchStep) -> None:
        if job_id not in self._jobs:
            raise ValueError(f"a step of a search names job {job_id}, which is not stored")
        self._steps.setdefault(job_id, {}).setdefault(step.number, step)

    def steps(self, job_id: str, after: int, limit: int) -> list[SearchStep]:
        return [step for number, step in sorted(self._steps.get(job_id, {}).items()) if number > after][:limit]

    def alike(self, job: Job) -> str | None:
        # Compared as they are kept: the bytes of a model are not.
        wanted = _key(job)
        found = [
            other
            for other in self._jobs.newest()
            if other.id != job.id and other.id in self._steps and other.spec.kind is JobKind.TUNE
        ]
        found = [other for other in found if _key(other) == wanted]
        return max(found, key=lambda other: other.trials).id if found else None


def _key(job: Job) -> tuple[str, str, str]:
    return job.device_class, job.target, encode(search_key(job.spec))
