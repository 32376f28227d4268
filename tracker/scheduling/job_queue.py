"""Which queued job a free worker takes: the most urgent, where ten minutes of waiting are worth a step of priority.

An estimate or a check takes seconds of a worker and hardly a board: it goes before all others.
"""

from __future__ import annotations

from tvm_farm.tracker.domain import Job

__all__ = ["STEP_S", "turn_unix_s"]

#: So long does a job wait before it is as urgent as one of the next higher priority that is submitted then.
STEP_S = 600.0


def turn_unix_s(job: Job) -> float:
    """When ``job``, at priority 0, would have had to be submitted to stand where it stands. The least is next."""
    if job.spec.kind.answers_only:
        return float("-inf")
    return job.created_unix_s - STEP_S * job.spec.priority
