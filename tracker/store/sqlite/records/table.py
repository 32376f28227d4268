"""The tuning log as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from tvm_farm.tracker.domain import Outcome, Record, RecordFilter, Timeline, TimingPlan, TrialTimes
from tvm_farm.tracker.domain.device_class import ClassMove
from tvm_farm.tracker.domain.record import BASELINE
from tvm_farm.tracker.store.counts import RecordCounts
from tvm_farm.tracker.store.encoding import encode_changed
from tvm_farm.tracker.store.sqlite.numbered import pack_secs
from tvm_farm.tracker.store.sqlite.records import queries
from tvm_farm.tracker.store.sqlite.records.compaction import SqliteCompactor
from tvm_farm.tracker.store.sqlite.records.queries import COLUMNS, STEPS
from tvm_farm.tracker.store.sqlite.records.rows import RecordRows
from tvm_farm.tracker.store.sqlite.row_batches import flat, parts, places
from tvm_farm.tracker.store.sqlite.store_file import StoreFile

__all__ = ["SqliteRecords"]

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
_MEDIAN = COLUMNS.index("median_s")
# Skips from one workload to the next in the index instead of reading every record.
_WORKLOADS = """WITH RECURSIVE w (k) AS (SELECT min(workload) FROM records UNION ALL
    SELECT (SELECT min(workload) FROM records WHERE workload > k) FROM w WHERE k IS NOT NULL)
    SELECT word FROM w JOIN words ON number = k ORDER BY word"""


_CLASSES = """WITH RECURSIVE c (k) AS (SELECT min(device_class) FROM records UNION ALL
    SELECT (SELECT min(device_class) FROM records WHERE device_class > k) FROM c WHERE k IS NOT NULL)
    SELECT word FROM c JOIN words ON number = k ORDER BY word"""


class SqliteRecords:
    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._rows = RecordRows(file)

    def add(self, records: Sequence[Record]) -> list[Record]:
        counts = RecordCounts()
        with self._file.recording():
            new: dict[str, Record] = {}
            for record in records:
                new.setdefault(record.trial_id, record)
            for known in self._known(list(new)):
                del new[known]
            workload = self._file.words.kept
            traces = iter(self._file.traces.kept([(workload(r.workload), r.trace) for r in new.values() if r.trace]))
            rows = []
            for record in new.values():
                median_s = record.median_s
                rows.append(self._rows.row(record, median_s, next(traces) if record.trace else None))
                counts.add(record, median_s)
            for some in parts(rows):
                self._file.db.conn.execute(_INSERT + places(some), flat(some))
            self._count(counts)
            return [
                record if new.get(record.trial_id) is record else self.get(record.trial_id) or record
                for record in records
            ]

    def _count(self, counts: RecordCounts) -> None:
        connection = self._file.db.conn
        for some in parts([(task, n.trials, n.failed, n.best_s) for task, n in counts.tasks.items()]):
            connection.execute(_COUNT_TASKS.format(places(some)), flat(some))
        untuned = [(seconds, task) for task, seconds in counts.untuned_s.items()]
        connection.executemany("UPDATE tasks SET untuned_s = ? WHERE id = ?", untuned)
        counted = [(*both, job) for job, both in counts.jobs.items()]
        connection.executemany("UPDATE jobs SET trials = trials + ?, recalled = recalled + ? WHERE id = ?", counted)

    def _known(self, trial_ids: list[str]) -> list[str]:
        known = []
        for some in parts(trial_ids):
            sql = f"SELECT trial_id FROM records WHERE trial_id IN {places([some])}"
            known += [row[0] for row in self._file.db.conn.execute(sql, some)]
        return known

    def refute(self, trial_id: str, detail: str) -> int | None:
        with self._file.recording():
            kernel = self._file.db.conn.execute("SELECT trace FROM records WHERE trial_id = ?", [trial_id]).fetchone()
            if kernel is None or kernel[0] is None:
                return None
            alike = self._file.db.conn.execute(_ALIKE, [trial_id, Outcome.OK.value]).fetchall()
            wrong = (Outcome.WRONG_RESULT.value, detail, pack_secs(()))
            self._file.db.conn.executemany(_REFUTE, [(*wrong, number) for number, _, _ in alike])
            untuned = self._file.words.number(BASELINE)
            for (job, task), refuted in Counter((job, task) for _, job, task in alike).items():
                self._file.db.conn.execute(_COUNT_REFUTED, [refuted, job, task, untuned, self._file.words.word(task)])
            return len(alike)

    def classes(self) -> list[str]:
        return [row[0] for row in self._file.db.conn.execute(_CLASSES)]

    def move(self, moves: Sequence[ClassMove]) -> int:
        with self._file.recording():
            return sum(map(self._move, moves))

    def _move(self, move: ClassMove) -> int:
        before, device = self._file.words.number(move.before), self._file.words.number(move.device_id)
        if before is None or (move.device_id and device is None):
            return 0
        of_device = "AND device = ?" if move.device_id else ""
        values = [self._file.words.kept(move.after), before, *([device] if move.device_id else [])]
        sql = f"UPDATE records SET device_class = ? WHERE device_class = ? {of_device}"
        return int(self._file.db.conn.execute(sql, values).rowcount)

    def get(self, trial_id: str) -> Record | None:
        sql = f"SELECT {', '.join(COLUMNS)} FROM records WHERE trial_id = ?"
        row = self._file.db.conn.execute(sql, [trial_id]).fetchone()
        return self._rows.record(row) if row else None

    def of_job(self, job_id: str) -> set[str]:
        rows = self._file.db.execute(
            "SELECT trial_id FROM records WHERE job = (SELECT number FROM jobs WHERE id = ?)", [job_id]
        )
        return {row[0] for row in rows}

    def page(
        self, query: RecordFilter, classes: Collection[str] | None, after: int, limit: int
    ) -> tuple[list[Record], int]:
        until, rest = self._bound(query, classes, after)
        sql, values = queries.page_query(query, classes, after, limit, until)
        rows = self._file.db.execute(sql, values).fetchall()
        return [self._rows.record(row[1:]) for row in rows], rows[-1][0] if len(rows) == limit else rest

    def _bound(self, query: RecordFilter, classes: Collection[str] | None, after: int) -> tuple[int | None, int]:
        """The last number that is looked at for a page, None for all that is left, and where the next page begins."""
        bound = queries.bound_query(query, classes, after, queries.SCAN)
        if bound is not None:
            row = self._file.db.conn.execute(*bound).fetchone()
            return (row[0], row[0]) if row else (None, 0)
        newest = self._file.db.execute("SELECT max(number) FROM records").fetchone()[0] or 0
        if query.newest_first:
            until = max(0, (after or newest + 1) - queries.SCAN)
            return until, until
        until = after + queries.SCAN
        return until, until if until < newest else 0

    def numbered(self, numbers: Sequence[int]) -> list[Record]:
        rows = self._file.db.conn.execute(queries.numbered_query(numbers), numbers).fetchall()
        found = {row[0]: self._rows.record(row[1:]) for row in rows}
        return [found[number] for number in numbers if number in found]

    def trial_ids(self, start: str) -> list[str]:
        if self._known([start]):
            return [start]
        sql = "SELECT trial_id FROM records WHERE trial_id >= ? AND trial_id < ? ORDER BY trial_id LIMIT 10"
        return [row[0] for row in self._file.db.conn.execute(sql, [start, start + chr(0x10FFFF)])]

    def times(self, job_id: str, after: int, limit: int) -> tuple[list[TrialTimes], int]:
        rows = self._file.db.conn.execute(_TIMES, [job_id, after, limit]).fetchall()
        word = self._file.words.word
        times = [
            TrialTimes(
                Timeline(*row[6:]), Outcome(row[1]), word(row[2]) != BASELINE, bool(row[3]), word(row[4]), bool(row[5])
            )
            for row in rows
        ]
        return times, rows[-1][0] if len(rows) == limit else 0

    def measured_workloads(self) -> list[str]:
        return [row[0] for row in self._file.db.execute(_WORKLOADS)]

    def measured_classes(self, workload: str) -> list[str]:
        sql, values = queries.classes_query(workload)
        return [row[0] for row in self._file.db.conn.execute(sql, values)]

    def best(
        self, workloads: Sequence[str], classes: Collection[str] | None, target: str, per_workload: int
    ) -> list[Record]:
        best: list[Record] = []
        for workload in workloads:
            rows: list[Any] = []
            for device_class in [None] if classes is None else sorted(set(classes)):
                sql, values = queries.best_query(workload, device_class, target, per_workload)
                rows += self._file.db.conn.execute(sql, values).fetchall()
            rows.sort(key=lambda row: row[_MEDIAN])
            best += [self._rows.record(row) for row in rows[:per_workload]]
        return best

    def alike(
        self, workload: str, device_class: str, target: str, plan: TimingPlan, traces: Sequence[str]
    ) -> list[list[Record]]:
        word = self._file.words.number
        same = [word(device_class), word(target), word(encode_changed(plan)), word(BASELINE)]
        workload_number = word(workload)
        if workload_number is None or None in same[:3]:
            return [[] for _ in traces]
        numbers = iter(self._file.traces.numbers([(workload_number, trace) for trace in traces if trace]))
        found = []
        for trace in traces:
            first = next(numbers) if trace else workload_number
            sql = queries.SAME_TRACE if trace else queries.SAME_UNTUNED
            rows = [] if first is None else self._file.db.conn.execute(sql, [first, *same]).fetchall()
            found.append([self._rows.record(row) for row in rows])
        return found

    def unknown_trials(self, trial_ids: Sequence[str]) -> list[str]:
        known = set(self._known(list(trial_ids)))
        return [trial_id for trial_id in trial_ids if trial_id not in known]

    def trial_page(self, after: int, limit: int) -> tuple[list[str], int]:
        sql = "SELECT number, trial_id FROM records WHERE number > ? ORDER BY number LIMIT ?"
        rows = self._file.db.conn.execute(sql, [after, limit]).fetchall()
        return [row[1] for row in rows], rows[-1][0] if len(rows) == limit else 0

    def count(self) -> int:
        return int(self._file.db.conn.execute("SELECT count(*) FROM records").fetchone()[0])

    def compactor(self, keep: int) -> SqliteCompactor:
        return SqliteCompactor(self._file, keep)
