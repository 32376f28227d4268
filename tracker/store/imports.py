"""What others measured, on its way into the store, and lines of logs that are kept to be read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from sqlite_utils import Database

from tvm_farm.tracker.domain import Job, Record, Task, Workload
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.exchange import HistoryFilter, HistoryLine, ImportPart, ImportReport
from tvm_farm.tracker.store.origins import Origins
from tvm_farm.tracker.store.packing import digest, pack, unpack
from tvm_farm.tracker.store.together import flat, parts, places
from tvm_farm.tracker.store.traces import Words

__all__ = ["ImportTables"]

#: Lines that are looked at for one page: about 50 ms.
_SCAN = 20_000
_LINES = "format, task, target, device_class, cost_s, error_no, measured_s, packed, imported"


class ImportTables:
    """The part of SqliteStore about other logs."""

    _db: Database
    _words: Words
    _origins: Origins

    def _recording(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _known(self, trial_ids: list[str]) -> list[str]:
        raise NotImplementedError

    def _add(self, job: Job, request_id: str) -> None:
        raise NotImplementedError

    def _update(self, job: Job) -> None:
        raise NotImplementedError

    def _keep_workload(self, workload: Workload) -> None:
        raise NotImplementedError

    def add_records(self, records: Sequence[Record]) -> list[Record]:
        raise NotImplementedError

    def unknown_trials(self, trial_ids: Sequence[str]) -> list[str]:
        known = set(self._known(list(trial_ids)))
        return [trial_id for trial_id in trial_ids if trial_id not in known]

    def trial_page(self, after: int, limit: int) -> tuple[list[str], int]:
        sql = "SELECT number, trial_id FROM records WHERE number > ? ORDER BY number LIMIT ?"
        rows = self._db.conn.execute(sql, [after, limit]).fetchall()
        return [row[1] for row in rows], rows[-1][0] if len(rows) == limit else 0

    def record_count(self) -> int:
        return int(self._db.conn.execute("SELECT count(*) FROM records").fetchone()[0])

    def import_part(self, part: ImportPart, now: float) -> ImportReport:
        with self._recording():
            for workload in part.workloads:
                self._keep_workload(workload)
            names = {job.id: self._import_job(job) for job in part.jobs}
            if part.records or part.history:
                self._origins.kept(part.source, now, part.user)
            unknown = set(self.unknown_trials([record.trial_id for record in part.records]))
            new = list(self._as_imported((r for r in part.records if r.trial_id in unknown), names, part, now))
            self.add_records(new)
            lines = self._add_history(part, now)
        return ImportReport(
            len(unknown), len({r.trial_id for r in part.records}) - len(unknown), lines, len(part.history) - lines
        )

    def _as_imported(
        self, records: Iterator[Record], names: dict[str, str], part: ImportPart, now: float
    ) -> Iterator[Record]:
        for record in records:
            source = part.source if not record.imported_from else f"{part.source} ({record.imported_from})"
            record = replace(record, imported_from=source, imported_unix_s=now)
            if not record.measurement.timeline.stored_s:
                measurement = record.measurement
                measurement = replace(measurement, timeline=replace(measurement.timeline, stored_s=now))
                record = replace(record, measurement=measurement)
            old, new = record.job_id, names.get(record.job_id, record.job_id)
            if new and self._words.job_number(new) is None:
                raise InvalidRequest(
                    f"the record of trial {record.trial_id} names job {old}, which is neither here nor sent with it"
                )
            if new != old:
                task = record.task_id
                task = new + task[len(old) :] if task.startswith(f"{old}/") else task
                record = replace(record, job_id=new, task_id=task)
            yield record

    def _import_job(self, job: Job) -> str:
        """The id that the job has here: another one than its own where that is taken by another job."""
        for number in range(2):
            created = self._db.conn.execute("SELECT created FROM jobs WHERE id = ?", [job.id]).fetchone()
            if created is None:
                break
            if abs(created[0] - job.created_unix_s) < 1e-3:
                return job.id
            if number:
                raise InvalidRequest(f"there are other jobs here by the name of {job.id}")
            suffix = hashlib.blake2b(f"{job.id} {job.created_unix_s}".encode(), digest_size=2).hexdigest()
            job = replace(job, id=f"{job.id}-{suffix}", group="")
        self._add(replace(job, worker_id=""), "")
        self._update(replace(job, worker_id=""))
        known = set(self._workloads_among({task.workload for task in job.tasks}))
        for position, task in enumerate(job.tasks):
            if task.workload not in known:
                raise InvalidRequest(f"task {task.id} has the workload {task.workload}, which was not sent before it")
            self._db.conn.execute(
                "INSERT INTO tasks (id, job_id, position, name, workload, weight, space) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [f"{job.id}/{task.id.rpartition('/')[2]}", job.id, position, *_plan(task)],
            )
        return job.id

    def _workloads_among(self, keys: Collection[str]) -> Iterator[str]:
        for some in parts(sorted(keys)):
            sql = f"SELECT key FROM workloads WHERE key IN {places([some])}"
            yield from (row[0] for row in self._db.conn.execute(sql, list(some)))

    def _add_history(self, part: ImportPart, now: float) -> int:
        """How many of the lines were new."""
        if not part.history:
            return 0
        origin = self._origins.kept(part.source, now, part.user)
        rows = [_row(line, origin) for line in part.history]
        sql = f"INSERT INTO history (digest, {_LINES}) VALUES "
        return sum(
            self._db.conn.execute(f"{sql}{places(some)} ON CONFLICT (digest) DO NOTHING", flat(some)).rowcount
            for some in parts(rows)
        )

    def history(self, query: HistoryFilter, before: int, limit: int) -> tuple[list[HistoryLine], int]:
        if not before:
            before = self._db.conn.execute("SELECT coalesce(max(number), 0) + 1 FROM history").fetchone()[0]
        last = max(0, before - _SCAN)
        terms = ["number < ?", "number >= ?"]
        values: list[int | str] = [before, last]
        for condition, value in (("format = ?", query.format), ("instr(task, ?) > 0", query.task)):
            if value:
                terms.append(condition)
                values.append(value)
        if not query.failed:
            terms.append("cost_s > 0")
        sql = f"SELECT number, {_LINES} FROM history WHERE {' AND '.join(terms)} ORDER BY number DESC LIMIT ?"
        rows = self._db.conn.execute(sql, [*values, limit]).fetchall()
        return [self._line(row[1:]) for row in rows], rows[-1][0] if len(rows) == limit else last

    def _line(self, row: Any) -> HistoryLine:
        imported_from, imported_s = self._origins.origin(row[8])
        log, task, target, device_class, cost_s, error_no, measured_s = row[:7]
        line = unpack(row[7], None)
        return HistoryLine(
            log, task, target, device_class, cost_s, error_no, measured_s, line, imported_from, imported_s
        )


def _plan(task: Task) -> tuple[Any, ...]:
    return task.name, task.workload, task.weight, task.space


def _row(line: HistoryLine, origin: int) -> list[Any]:
    return [
        digest(line.line),
        line.format,
        line.task,
        line.target,
        line.device_class,
        line.cost_s,
        line.error_no,
        line.measured_unix_s,
        pack(line.line, None),
        origin,
    ]
