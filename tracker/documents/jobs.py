"""Jobs and their tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvm_farm.tracker.documents.spaces import space_of
from tvm_farm.tracker.documents.value import jsonable
from tvm_farm.tracker.documents.verdict import verified
from tvm_farm.tracker.domain import Job, JobGroup, Task

__all__ = ["classes_document", "group_document", "listed_document", "task_document"]


def group_document(group: JobGroup) -> dict[str, Any]:
    """A job as it is, several as an object with their group's id."""
    whole: dict[str, Any] = jsonable(group.first if group.alone else {"group": group.id, "jobs": group.jobs})
    return whole


def task_document(task: Task) -> dict[str, Any]:
    """With its space as an object."""
    return {**jsonable(task), "space": space_of(task)}


def classes_document(group: JobGroup) -> dict[str, Any]:
    """What lies beside the packages of several classes: whose each is, and what came of it."""
    spec = group.spec
    named = {"model": spec.model_name, "model_sha256": spec.model.digest}
    return {**named, "group": group.id, "classes": [*map(_entry, group.done)]}


def listed_document(job: Job) -> dict[str, Any]:
    """A job of many: what it is and how far, of its tasks and result no more than what came of them."""
    whole = jsonable(replace(job, tasks=(), result=None))
    return {name: value for name, value in whole.items() if name not in ("tasks", "result")} | _outcome(job)


def _entry(job: Job) -> dict[str, Any]:
    named = {"device_class": job.device_class, "folder": job.device_class, "job": job.id, "target": job.target}
    return named | _outcome(job) | {"trials": job.trials}


def _outcome(job: Job) -> dict[str, Any]:
    """Nothing of a job without a result, and of one whose result is an answer."""
    if job.result is None or job.spec.kind.answers_only:
        return {}
    latency = job.result.latency
    measured = {"untuned_s": latency.untuned_s, "tuned_s": latency.tuned_s, "measured": latency.measured}
    return measured | {"verified": verified(job.result)}
