"""The tuning log as a table."""

from __future__ import annotations

import functools
import operator
import statistics
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import orjson
from sqlite_utils import Database

from tvm_farm.tracker.domain import (
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
from tvm_farm.tracker.domain.record import BASELINE
from tvm_farm.tracker.store import queries
from tvm_farm.tracker.store.encoding import decode, encode, encode_changed
from tvm_farm.tracker.store.origins import Origins
from tvm_farm.tracker.store.packing import pack_secs, unpack_secs
from tvm_farm.tracker.store.queries import (
    COLUMNS,
    STEPS,
    best_query,
    bound_query,
    classes_query,
    numbered_query,
    page_query,
)
from tvm_farm.tracker.store.together import flat, parts, places
from tvm_farm.tracker.store.traces import Traces, Words

__all__ = ["RecordTable"]

_INSERT = f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES "
_COUNT_TASKS = """WITH n (task, trials, failed, best) AS (VALUES {}) UPDATE tasks SET trials = tasks.trials + n.trials,
    failed = tasks.failed + n.failed, best_s = CASE WHEN n.best IS NULL THEN best_s
    WHEN best_s = 0 OR n.best < best_s THEN n.best ELSE best_s END FROM n WHERE id = n.task"""
_ALIKE = """SELECT r.number, r.job, r.task FROM records r JOIN records k ON k.trial_id = ? AND k.trace = r.trace
    AND k.workload = r.workload AND k.target = r.target AND k.device_class = r.device_class WHERE r.outcome = ?"""
_REFUTE = "UPDATE records SET outcome = ?, detail = ?, cut_short = 0, median_s = NULL, run_secs = ? WHERE number = ?"
_COUNT_REFUTED = """UPDATE tasks SET failed = failed + ?, best_s = coalesce(
    (SELECT min(median_s) FROM records WHERE job = ? AND task = ? AND engine IS NOT ?), 0) WHERE id = ?"""
_TIMES = f"""SELECT number, outcome, engine, cut_short, device_name, copied_from IS NOT NULL, {", ".join(STEPS)}
    FROM records WHERE job = (SELECT number FROM jobs WHERE id = ?) AND number > ? ORDER BY number LIMIT ?"""
_plan_text = functools.lru_cache(100)(encode_changed)
_steps = operator.attrgetter(*STEPS)
_MEDIAN = COLUMNS.index("median_s")
# Skips from one workload to the next in the index instead of reading every record.
_WORKLOADS = """WITH RECURSIVE w (k) AS (SELECT min(workload) FROM records UNION ALL
    SELECT (SELECT min(workload) FROM records WHERE workload > k) FROM w WHERE k IS NOT NULL)
    SELECT word FROM w JOIN words ON number = k ORDER BY word"""


class RecordTable:
    """The part of SqliteStore about records. What is known of words, traces and origins is made when it is opened."""

    _db: Database
    _words: Words
    _traces: Traces
    _origins: Origins

    def _writing(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    @contextmanager
    def _recording(self) -> Iterator[None]:
        try:
            with self._writing(), self._db.atomic():
                yield
        except BaseException:
            # Numbers that were given in what is rolled back are given again.
            self._words.forget()
            self._traces.forget()
            self._origins.forget()
            raise

    def add_records(self, records: Sequence[Record]) -> list[Record]:
        counts = _Counts()
        with self._recording():
            new: dict[str, Record] = {}
            for record in records:
                new.setdefault(record.trial_id, record)
            for known in self._known(list(new)):
                del new[known]
            workload = self._words.kept
            traces = iter(self._traces.kept([(workload(r.workload), r.trace) for r in new.values() if r.trace]))
            rows = []
            for record in new.values():
                row = self._row(record, next(traces) if record.trace else None)
                rows.append(row)
                counts.add(record, row[_MEDIAN])
            self._insert(rows)
            counts.write(self._db)
            return [
                record if new.get(record.trial_id) is record else self.record(record.trial_id) or record
                for record in records
            ]

    def _known(self, trial_ids: list[str]) -> list[str]:
        known = []
        for some in parts(trial_ids):
            sql = f"SELECT trial_id FROM records WHERE trial_id IN {places([some])}"
            known += [row[0] for row in self._db.conn.execute(sql, some)]
        return known

    def _insert(self, rows: list[list[Any]]) -> None:
        for some in parts(rows):
            self._db.conn.execute(_INSERT + places(some), flat(some))

    def refute(self, trial_id: str, detail: str) -> int | None:
        with self._recording():
            kernel = self._db.conn.execute("SELECT trace FROM records WHERE trial_id = ?", [trial_id]).fetchone()
            if kernel is None or kernel[0] is None:
                return None
            alike = self._db.conn.execute(_ALIKE, [trial_id, Outcome.OK.value]).fetchall()
            wrong = (Outcome.WRONG_RESULT.value, detail, pack_secs(()))
            self._db.conn.executemany(_REFUTE, [(*wrong, number) for number, _, _ in alike])
            untuned = self._words.number(BASELINE)
            for (job, task), refuted in Counter((job, task) for _, job, task in alike).items():
                self._db.conn.execute(_COUNT_REFUTED, [refuted, job, task, untuned, self._words.word(task)])
            return len(alike)

    def record(self, trial_id: str) -> Record | None:
        sql = f"SELECT {', '.join(COLUMNS)} FROM records WHERE trial_id = ?"
        row = self._db.conn.execute(sql, [trial_id]).fetchone()
        return self._record(row) if row else None

    def trial_ids(self, job_id: str) -> set[str]:
        rows = self._db.execute(
            "SELECT trial_id FROM records WHERE job = (SELECT number FROM jobs WHERE id = ?)", [job_id]
        )
        return {row[0] for row in rows}

    def records(
        self, query: RecordFilter, classes: Collection[str] | None, after: int, limit: int
    ) -> tuple[list[Record], int]:
        until, rest = self._bound(query, classes, after)
        sql, values = page_query(query, classes, after, limit, until)
        rows = self._db.execute(sql, values).fetchall()
        return [self._record(row[1:]) for row in rows], rows[-1][0] if len(rows) == limit else rest

    def _bound(self, query: RecordFilter, classes: Collection[str] | None, after: int) -> tuple[int | None, int]:
        """The last number that is looked at for a page, None for all that is left, and where the next page begins."""
        bound = bound_query(query, classes, after, queries.SCAN)
        if bound is not None:
            row = self._db.conn.execute(*bound).fetchone()
            return (row[0], row[0]) if row else (None, 0)
        newest = self._db.execute("SELECT max(number) FROM records").fetchone()[0] or 0
        if query.newest_first:
            until = max(0, (after or newest + 1) - queries.SCAN)
            return until, until
        until = after + queries.SCAN
        return until, until if until < newest else 0

    def records_numbered(self, numbers: Sequence[int]) -> list[Record]:
        rows = self._db.conn.execute(numbered_query(numbers), numbers).fetchall()
        found = {row[0]: self._record(row[1:]) for row in rows}
        return [found[number] for number in numbers if number in found]

    def trial_ids_like(self, start: str) -> list[str]:
        if self._known([start]):
            return [start]
        sql = "SELECT trial_id FROM records WHERE trial_id >= ? AND trial_id < ? ORDER BY trial_id LIMIT 10"
        return [row[0] for row in self._db.conn.execute(sql, [start, start + chr(0x10FFFF)])]

    def trial_times(self, job_id: str, after: int, limit: int) -> tuple[list[TrialTimes], int]:
        rows = self._db.conn.execute(_TIMES, [job_id, after, limit]).fetchall()
        word = self._words.word
        times = [
            TrialTimes(
                Timeline(*row[6:]), Outcome(row[1]), word(row[2]) != BASELINE, bool(row[3]), word(row[4]), bool(row[5])
            )
            for row in rows
        ]
        return times, rows[-1][0] if len(rows) == limit else 0

    def measured_workloads(self) -> list[str]:
        return [row[0] for row in self._db.execute(_WORKLOADS)]

    def measured_classes(self, workload: str) -> list[str]:
        sql, values = classes_query(workload)
        return [row[0] for row in self._db.conn.execute(sql, values)]

    def best_records(
        self, workloads: Sequence[str], classes: Collection[str] | None, target: str, per_workload: int
    ) -> list[Record]:
        best: list[Record] = []
        for workload in workloads:
            rows: list[Any] = []
            for device_class in [None] if classes is None else sorted(set(classes)):
                sql, values = best_query(workload, device_class, target, per_workload)
                rows += self._db.conn.execute(sql, values).fetchall()
            rows.sort(key=lambda row: row[_MEDIAN])
            best += [self._record(row) for row in rows[:per_workload]]
        return best

    def _row(self, record: Record, trace: int | None) -> list[Any]:
        m = record.measurement
        ok = m.outcome is Outcome.OK and bool(m.run_secs)
        word = self._words.kept
        return [
            record.trial_id,
            self._job_number(record),
            word(record.task_id),
            word(record.workload),
            word(record.workload_name),
            word(record.target),
            word(m.device_class),
            word(m.device_id),
            word(m.device_name),
            word(record.runner_mode.value) if record.runner_mode else None,
            word(record.engine),
            word(record.user),
            word(_plan_text(record.plan)),
            word(orjson.dumps(record.versions, option=orjson.OPT_SORT_KEYS).decode()),
            m.outcome.value,
            m.detail,
            m.signal,
            m.cut_short,
            statistics.median(m.run_secs) if ok else None,
            pack_secs(m.run_secs),
            trace,
            encode(m.before) if m.before else None,
            encode(m.after) if m.after else None,
            record.copied_from or None,
            *_steps(m.timeline),
            self._origins.kept(record.imported_from, record.imported_unix_s) if record.imported_from else None,
        ]

    def _job_number(self, record: Record) -> int | None:
        if not record.job_id:
            return None
        number = self._words.job_number(record.job_id)
        if number is None:
            raise ValueError(f"the record of trial {record.trial_id} names job {record.job_id}, which is not stored")
        return number

    def _record(self, row: Any) -> Record:
        word = self._words.word
        measurement = Measurement(
            trial_id=row[0],
            outcome=Outcome(row[14]),
            detail=row[15],
            signal=row[16],
            cut_short=bool(row[17]),
            run_secs=unpack_secs(row[19]),
            device_id=word(row[7]),
            device_name=word(row[8]),
            device_class=word(row[6]),
            before=decode(Telemetry, row[21]) if row[21] else None,
            after=decode(Telemetry, row[22]) if row[22] else None,
            timeline=Timeline(*row[24:-1]),
        )
        imported_from, imported_s = self._origins.origin(row[-1]) if row[-1] else ("", 0.0)
        return Record(
            trial_id=row[0],
            job_id=self._words.job_id(row[1]) if row[1] else "",
            task_id=word(row[2]),
            workload=word(row[3]),
            workload_name=word(row[4]),
            target=word(row[5]),
            engine=word(row[10]),
            trace=self._traces.text(row[20]) if row[20] else "",
            measurement=measurement,
            plan=decode(TimingPlan, word(row[12])),
            versions=orjson.loads(word(row[13])),
            runner_mode=RunnerMode(word(row[9])) if row[9] else None,
            user=word(row[11]),
            imported_from=imported_from,
            imported_unix_s=imported_s,
            copied_from=row[23] or "",
        )


class _Counts:
    """What a group of records adds to the counters of its tasks and jobs."""

    def __init__(self) -> None:
        self._tasks: dict[str, list[Any]] = {}
        self._jobs: dict[str, tuple[int, int]] = {}
        self._untuned: dict[str, float] = {}

    def add(self, record: Record, median_s: float | None) -> None:
        if record.is_baseline:
            if median_s is not None:
                self._untuned[record.task_id] = median_s
            return
        task = self._tasks.setdefault(record.task_id, [0, 0, None])
        task[0] += 1
        task[1] += record.measurement.outcome is not Outcome.OK
        if median_s is not None and (task[2] is None or median_s < task[2]):
            task[2] = median_s
        trials, recalled = self._jobs.get(record.job_id, (0, 0))
        self._jobs[record.job_id] = (trials + 1, recalled + bool(record.copied_from))

    def write(self, db: Database) -> None:
        for some in parts([(task, *counts) for task, counts in self._tasks.items()]):
            db.conn.execute(_COUNT_TASKS.format(places(some)), flat(some))
        db.conn.executemany("UPDATE tasks SET untuned_s = ? WHERE id = ?", [(s, t) for t, s in self._untuned.items()])
        counted = [(*counts, job) for job, counts in self._jobs.items()]
        db.conn.executemany("UPDATE jobs SET trials = trials + ?, recalled = recalled + ? WHERE id = ?", counted)
