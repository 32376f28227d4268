"""What others measured, on its way into the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tvm_farm.tracker.domain import Job, Record
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.imported import imported, of_another_id, same_job, task_of_job, under_job
from tvm_farm.tracker.domain.imports import ImportPart, ImportReport
from tvm_farm.tracker.store.sqlite.history import SqliteHistory
from tvm_farm.tracker.store.sqlite.jobs import SqliteJobs
from tvm_farm.tracker.store.sqlite.records import SqliteRecords
from tvm_farm.tracker.store.sqlite.store_file import StoreFile
from tvm_farm.tracker.store.sqlite.workloads import SqliteWorkloads

__all__ = ["SqliteImports"]


class SqliteImports:
    def __init__(
        self,
        file: StoreFile,
        workloads: SqliteWorkloads,
        jobs: SqliteJobs,
        records: SqliteRecords,
        history: SqliteHistory,
    ) -> None:
        self._file = file
        self._workloads = workloads
        self._jobs = jobs
        self._records = records
        self._history = history

    def take(self, part: ImportPart, now: float) -> ImportReport:
        with self._file.recording():
            self._workloads.add(part.workloads)
            names = {job.id: self._take_job(job) for job in part.jobs}
            lines = 0
            if part.records or part.history:
                lines = self._history.add(part.history, self._file.sources.kept(part.source, now, part.user))
            unknown = set(self._records.unknown_trials([record.trial_id for record in part.records]))
            self._records.add(list(self._named((r for r in part.records if r.trial_id in unknown), names, part, now)))
        return ImportReport(
            len(unknown), len({r.trial_id for r in part.records}) - len(unknown), lines, len(part.history) - lines
        )

    def _named(
        self, records: Iterator[Record], names: dict[str, str], part: ImportPart, now: float
    ) -> Iterator[Record]:
        for record in records:
            job_id = names.get(record.job_id, record.job_id)
            if job_id and self._file.words.job_number(job_id) is None:
                raise InvalidRequest(
                    f"the record of trial {record.trial_id} names job {record.job_id}, which is neither here nor sent "
                    "with it"
                )
            marked = imported(record, part.source, now)
            yield under_job(marked, job_id) if job_id != record.job_id else marked

    def _take_job(self, job: Job) -> str:
        """The id that the job has here: another one than its own where that is taken by another job."""
        for own in (True, False):
            created = self._jobs.created_unix_s(job.id)
            if created is None:
                break
            if same_job(created, job):
                return job.id
            if not own:
                raise InvalidRequest(f"there are other jobs here by the name of {job.id}")
            job = of_another_id(job)
        self._jobs.add_ended(replace(job, worker_id=""))
        known = set(self._workloads.among({task.workload for task in job.tasks}))
        for position, task in enumerate(job.tasks):
            if task.workload not in known:
                raise InvalidRequest(f"task {task.id} has the workload {task.workload}, which was not sent before it")
            self._jobs.import_task(job.id, position, task_of_job(task.id, job.id), task)
        return job.id
