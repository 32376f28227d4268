"""What others measured, on its way into the store."""

from __future__ import annotations

from dataclasses import replace

from tvm_farm.tracker.domain import Job, Record
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.imported import imported, of_another_id, same_job, task_of_job, under_job
from tvm_farm.tracker.domain.imports import ImportPart, ImportReport
from tvm_farm.tracker.store.memory.history import MemoryHistory
from tvm_farm.tracker.store.memory.jobs import MemoryJobs
from tvm_farm.tracker.store.memory.records import MemoryRecords
from tvm_farm.tracker.store.memory.workloads import MemoryWorkloads

__all__ = ["MemoryImports"]


class MemoryImports:
    def __init__(
        self, workloads: MemoryWorkloads, jobs: MemoryJobs, records: MemoryRecords, history: MemoryHistory
    ) -> None:
        self._workloads = workloads
        self._jobs = jobs
        self._records = records
        self._history = history

    def take(self, part: ImportPart, now: float) -> ImportReport:
        # All that may be refused comes before the first change.
        new_jobs: dict[str, Job] = {}
        names = {job.id: self._placed(job, new_jobs, part) for job in part.jobs}
        unknown = set(self._records.unknown_trials([record.trial_id for record in part.records]))
        records = [self._named(r, names, new_jobs, part, now) for r in part.records if r.trial_id in unknown]
        self._workloads.add(part.workloads)
        for job in new_jobs.values():
            self._jobs.add_ended(job, [task_of_job(task.id, job.id) for task in job.tasks])
        self._records.add(records)
        lines = self._history.add(part.history, part.source, now)
        return ImportReport(
            len(unknown), len({r.trial_id for r in part.records}) - len(unknown), lines, len(part.history) - lines
        )

    def _placed(self, job: Job, new_jobs: dict[str, Job], part: ImportPart) -> str:
        """The id that the job has here; added to ``new_jobs`` where it is not here yet."""
        for own in (True, False):
            here = new_jobs.get(job.id) or self._jobs.get(job.id)
            if here is None:
                break
            if same_job(here.created_unix_s, job):
                return job.id
            if not own:
                raise InvalidRequest(f"there are other jobs here by the name of {job.id}")
            job = of_another_id(job)
        sent = {workload.key for workload in part.workloads}
        for task in job.tasks:
            if task.workload not in sent and self._workloads.get(task.workload) is None:
                raise InvalidRequest(f"task {task.id} has the workload {task.workload}, which was not sent before it")
        new_jobs[job.id] = replace(job, worker_id="")
        return job.id

    def _named(
        self, record: Record, names: dict[str, str], new_jobs: dict[str, Job], part: ImportPart, now: float
    ) -> Record:
        job_id = names.get(record.job_id, record.job_id)
        if job_id and job_id not in self._jobs and job_id not in new_jobs:
            raise InvalidRequest(
                f"the record of trial {record.trial_id} names job {record.job_id}, which is neither here nor sent "
                "with it"
            )
        marked = imported(record, part.source, now)
        return under_job(marked, job_id) if job_id != record.job_id else marked
