"""What the log says of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm_farm.tracker.domain import Job, TaskResult

__all__ = ["Sums", "estimate_document", "sums"]


@dataclass(frozen=True)
class Sums:
    """Weighted sums in seconds.

    ``untuned_s`` and ``best_s`` are of the ``compared`` tasks alone, whose untuned and best latency are both known;
    ``known_s`` is of the ``known`` ones, those that have any latency.
    """

    untuned_s: float
    best_s: float
    compared: int
    known_s: float
    known: int
    unknown: tuple[str, ...]


def sums(tasks: Sequence[TaskResult]) -> Sums:
    both = [task for task in tasks if task.untuned_s > 0 and task.tuned_s > 0]
    known = [task for task in tasks if task.tuned_s > 0]
    return Sums(
        untuned_s=sum(task.weight * task.untuned_s for task in both),
        best_s=sum(task.weight * task.tuned_s for task in both),
        compared=len(both),
        known_s=sum(task.weight * task.tuned_s for task in known),
        known=len(known),
        unknown=tuple(task.name for task in tasks if task.tuned_s <= 0),
    )


def estimate_document(jobs: Sequence[Job]) -> dict[str, Any]:
    """Of a submission's jobs, one a class; a class whose job is not done has no entry."""
    spec = jobs[0].spec
    done = [job for job in jobs if job.result is not None]
    return {"model": spec.model_name, "pool": spec.pool, "classes": [*map(_class, done)]}


def _class(job: Job) -> dict[str, Any]:
    tasks = job.result.tasks if job.result else ()
    told = sums(tasks)
    return {
        "device_class": job.device_class,
        "target": job.target,
        "job": job.id,
        "untuned_s": told.untuned_s,
        "best_s": told.best_s,
        "compared": told.compared,
        "known_s": told.known_s,
        "known": told.known,
        "tasks": [
            {
                "name": task.name,
                "weight": task.weight,
                "flops": task.flops,
                "untuned_s": task.untuned_s or None,
                "best_s": task.tuned_s or None,
            }
            for task in tasks
        ],
    }
