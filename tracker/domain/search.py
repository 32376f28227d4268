"""What a job's search did, step by step: enough to bring a new one to the same point."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_farm.tracker.domain.engine import AUTO
from tvm_farm.tracker.domain.job import JobSpec
from tvm_farm.tracker.domain.record import Record

__all__ = ["Lesson", "PastSearch", "SearchStep", "search_key"]


@dataclass(frozen=True)
class Lesson:
    """What came of candidate number ``candidate`` was learned. ``build_s``: CPU seconds of its build, 0: not known."""

    candidate: int
    build_s: float = 0.0


@dataclass(frozen=True)
class SearchStep:
    """One call of the search: it learned, then it proposed ``count`` candidates or fewer for one task.

    ``number`` counts a job's steps from 0, ``task`` is the task's place among the job's. ``proposed``: trial ids;
    candidates are numbered from 0 through all steps of a job. ``taught``: trial ids of the records of others that the
    task's search began with, in their order. An engine that goes through the same steps proposes the same.
    """

    number: int
    task: int
    count: int
    learned: tuple[Lesson, ...] = ()
    proposed: tuple[str, ...] = ()
    taught: tuple[str, ...] = ()


@dataclass(frozen=True)
class PastSearch:
    """A step of the job ``job_id``, with the records that it names as ``taught`` as far as the log has them."""

    job_id: str
    step: SearchStep
    taught: tuple[Record, ...] = ()


def search_key(spec: JobSpec) -> JobSpec:
    """Equal for jobs whose searches propose the same, given the same target, class and results."""
    same = replace(spec, user="", priority=0, pool="", model_name="", device_class="", fresh=False)
    # With ``auto`` the budget decides which engines search.
    return same if spec.engine == AUTO else replace(same, max_trials=0, budget_s=0.0)
