"""Which queued job a free worker takes: the most urgent, where ten minutes of waiting are worth a step of priority.

An estimate or a check takes seconds of a worker and hardly a board: it goes before all others.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.tracker.domain import Job, JobKind

__all__ = ["TURNS", "Turns"]


@dataclass(frozen=True)
class Turns:
    """The order of queued jobs, as data that a store can sort by. Of equal ones the one kept first is next."""

    #: Kinds of job that go before all others, in the order in which they were kept.
    first: frozenset[JobKind] = frozenset()
    #: So many seconds does a job wait before it is as urgent as one of the next higher priority that is submitted then.
    step_s: float = 0.0

    def unix_s(self, job: Job) -> float:
        """When ``job``, at priority 0, would have had to be submitted to stand where it stands. The least is next."""
        if job.spec.kind in self.first:
            return float("-inf")
        return job.created_unix_s - self.step_s * job.spec.priority


#: The farm's own.
TURNS = Turns(first=frozenset(kind for kind in JobKind if kind.answers_only), step_s=600.0)
