"""The tuning log as a table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any

from sqlite_utils import Database

from tracker.domain import (
    Measurement,
    Outcome,
    Record,
    RecordFilter,
    RunnerMode,
    Telemetry,
    Timeline,
    TimingPlan,
    TrialTimes,
)
from tracker.store.encoding import decode, encode

__all__ = ["RecordTable"]

_STEPS = tuple(field.name for field in fields(Timeline))
_COLUMNS = (
    "trial_id, job_id, task_id, workload, workload_name, target, device_class, device_id, device_name, runner_mode, "
    "engine, user, outcome, detail, signal, median_s, min_s, run_secs, trace, plan, versions, before, after, "
    f"{', '.join(_STEPS)}"
)
_MARKS = ", ".join("?" * len(_COLUMNS.split(",")))
_INSERT = f"INSERT INTO records ({_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT (trial_id) DO NOTHING"
_COUNT_TASK = """UPDATE tasks SET trials = trials + 1, failed = failed + :failed,
    best_s = CASE WHEN :median IS NULL THEN best_s WHEN best_s = 0 OR :median < best_s THEN :median ELSE best_s END
    WHERE id = :task"""
_TIMES = f"""SELECT number, outcome, engine, device_name, {", ".join(_STEPS)} FROM records
    WHERE job_id = ? AND number > ? ORDER BY number LIMIT ?"""
# Skips from one workload to the next in the index instead of reading every record.
_WORKLOADS = """WITH RECURSIVE w (k) AS (SELECT min(workload) FROM records WHERE outcome = 'ok' UNION ALL
    SELECT (SELECT min(workload) FROM records WHERE outcome = 'ok' AND workload > k) FROM w WHERE k IS NOT NULL)
    SELECT k FROM w WHERE k IS NOT NULL"""


class RecordTable:
    """The part of SqliteStore about records."""

    _db: Database

    def _writing(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def add_records(self, records: Sequence[Record]) -> list[Record]:
        kept = []
        with self._writing(), self._db.atomic():
            for record in records:
                row = _row(record)
                if self._db.conn.execute(_INSERT, row).rowcount:
                    self._count(record, row[15])
                    kept.append(record)
                else:
                    kept.append(self.record(record.trial_id) or record)
        return kept

    def _count(self, record: Record, median_s: float | None) -> None:
        execute = self._db.conn.execute
        if record.engine == "untuned":
            if median_s is not None:
                execute("UPDATE tasks SET untuned_s = ? WHERE id = ?", [median_s, record.task_id])
            return
        failed = record.measurement.outcome is not Outcome.OK
        execute(_COUNT_TASK, {"failed": failed, "median": median_s, "task": record.task_id})
        execute("UPDATE jobs SET trials = trials + 1 WHERE id = ?", [record.job_id])

    def record(self, trial_id: str) -> Record | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM records WHERE trial_id = ?", [trial_id]).fetchone()
        return _record(row) if row else None

    def trial_ids(self, job_id: str) -> set[str]:
        rows = self._db.execute("SELECT trial_id FROM records WHERE job_id = ?", [job_id])
        return {row[0] for row in rows}

    def records(
        self, query: RecordFilter, classes: Collection[str] | None, after: int, limit: int
    ) -> tuple[list[Record], int]:
        sql, values = page_query(query, classes, after, limit)
        rows = self._db.execute(sql, values).fetchall()
        return [_record(row[1:]) for row in rows], rows[-1][0] if len(rows) == limit else 0

    def trial_times(self, job_id: str, after: int, limit: int) -> tuple[list[TrialTimes], int]:
        rows = self._db.execute(_TIMES, [job_id, after, limit]).fetchall()
        times = [TrialTimes(Timeline(*row[4:]), Outcome(row[1]), row[2] != "untuned", False, row[3]) for row in rows]
        return times, rows[-1][0] if len(rows) == limit else 0

    def best_records(
        self, workloads: Sequence[str], classes: Collection[str] | None, target: str, per_workload: int
    ) -> list[Record]:
        best: list[Record] = []
        for workload in workloads or [row[0] for row in self._db.execute(_WORKLOADS)]:
            rows: list[Any] = []
            for device_class in [None] if classes is None else sorted(set(classes)):
                sql, values = best_query(workload, device_class, target, per_workload)
                rows += self._db.execute(sql, values).fetchall()
            rows.sort(key=lambda row: row[15])
            best += [_record(row) for row in rows[:per_workload]]
        return best


def page_query(
    query: RecordFilter, classes: Collection[str] | None, after: int, limit: int
) -> tuple[str, list[str | float]]:
    """SQL and its values for a page: its first column is the record's number."""
    terms: list[str] = []
    values: list[str | float] = []

    def where(term: str, *term_values: str | float) -> None:
        terms.append(term)
        values.extend(term_values)

    for column in ("job_id", "task_id", "workload", "device_class", "engine", "target"):
        if value := getattr(query, column):
            where(f"{column} = ?", value)
    if query.device:
        where("(device_id = ? OR device_name = ?)", query.device, query.device)
    if query.outcome:
        where("outcome = ?", query.outcome.value)
    if query.since_unix_s:
        where("stored_s >= ?", query.since_unix_s)
    if query.workload_name:
        where("instr(workload_name, ?) > 0", query.workload_name)
    if classes is not None:
        where(f"device_class IN ({', '.join('?' * len(classes))})", *sorted(classes))
    if after:
        where("number < ?" if query.newest_first else "number > ?", after)
    condition = f"WHERE {' AND '.join(terms)}" if terms else ""
    order = "DESC" if query.newest_first else "ASC"
    return f"SELECT number, {_COLUMNS} FROM records {condition} ORDER BY number {order} LIMIT ?", [*values, limit]


def best_query(workload: str, device_class: str | None, target: str, limit: int) -> tuple[str, list[str | int]]:
    """SQL and its values for the fastest records of one workload."""
    terms, values = ["outcome = 'ok'", "workload = ?"], [workload]
    if device_class is not None:
        terms.append("device_class = ?")
        values.append(device_class)
    if target:
        terms.append("target = ?")
        values.append(target)
    sql = f"SELECT {_COLUMNS} FROM records WHERE {' AND '.join(terms)} ORDER BY median_s LIMIT ?"
    return sql, [*values, limit]


def _row(record: Record) -> list[Any]:
    m = record.measurement
    ok = m.outcome is Outcome.OK and bool(m.run_secs)
    return [
        record.trial_id,
        record.job_id or None,
        record.task_id,
        record.workload,
        record.workload_name,
        record.target,
        m.device_class,
        m.device_id,
        m.device_name,
        record.runner_mode and record.runner_mode.value,
        record.engine,
        record.user,
        m.outcome and m.outcome.value,
        m.detail,
        m.signal,
        statistics.median(m.run_secs) if ok else None,
        min(m.run_secs) if ok else None,
        json.dumps(m.run_secs),
        record.trace,
        encode(record.plan),
        json.dumps(record.versions),
        encode(m.before) if m.before else None,
        encode(m.after) if m.after else None,
        *(getattr(m.timeline, step) for step in _STEPS),
    ]


def _record(row: Any) -> Record:
    measurement = Measurement(
        trial_id=row[0],
        outcome=Outcome(row[12]),
        detail=row[13],
        signal=row[14],
        run_secs=tuple(json.loads(row[17])),
        device_id=row[7],
        device_name=row[8],
        device_class=row[6],
        before=decode(Telemetry, row[21]) if row[21] else None,
        after=decode(Telemetry, row[22]) if row[22] else None,
        timeline=Timeline(*row[23:]),
    )
    return Record(
        trial_id=row[0],
        job_id=row[1] or "",
        task_id=row[2],
        workload=row[3],
        workload_name=row[4],
        target=row[5],
        engine=row[10],
        trace=row[18],
        measurement=measurement,
        plan=decode(TimingPlan, row[19]),
        versions=json.loads(row[20]),
        runner_mode=RunnerMode(row[9]) if row[9] else None,
        user=row[11],
    )
