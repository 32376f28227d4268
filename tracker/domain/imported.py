"""What another farm measured, as it stands in this one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from tvm_farm.tracker.domain.job import Job
from tvm_farm.tracker.domain.record import Record

__all__ = ["imported", "of_another_id", "same_job", "task_of_job", "under_job"]


def imported(record: Record, source: str, now: float) -> Record:
    """``record`` marked with its source and the Unix time; one that tells no time of storing was stored now."""
    source = source if not record.imported_from else f"{source} ({record.imported_from})"
    record = replace(record, imported_from=source, imported_unix_s=now)
    if record.measurement.timeline.stored_s:
        return record
    measurement = record.measurement
    return replace(record, measurement=replace(measurement, timeline=replace(measurement.timeline, stored_s=now)))


def under_job(record: Record, job_id: str) -> Record:
    """``record`` as one of the job that has another id here."""
    task = record.task_id
    if task.startswith(f"{record.job_id}/"):
        task = job_id + task[len(record.job_id) :]
    return replace(record, job_id=job_id, task_id=task)


def task_of_job(task_id: str, job_id: str) -> str:
    """The id of a task of the job that has another id here."""
    return f"{job_id}/{task_id.rpartition('/')[2]}"


def same_job(created_unix_s: float, job: Job) -> bool:
    """Whether the job of its id that was created here then is ``job``."""
    return abs(created_unix_s - job.created_unix_s) < 1e-3


def of_another_id(job: Job) -> Job:
    """``job`` where its own id is taken by another one: always by the same id, and by itself."""
    suffix = hashlib.blake2b(f"{job.id} {job.created_unix_s}".encode(), digest_size=2).hexdigest()
    return replace(job, id=f"{job.id}-{suffix}", group="")
