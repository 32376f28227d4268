"""What a log can do without is found, removed, and its room given back, a little at a time."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

from tvm_farm.tracker.domain.imports import Compaction
from tvm_farm.tracker.domain.record import BASELINE
from tvm_farm.tracker.store.log_survey import LogSurvey
from tvm_farm.tracker.store.sqlite.row_batches import parts, places
from tvm_farm.tracker.store.sqlite.store_file import StoreFile

__all__ = ["SqliteCompactor"]

#: What one call aims to take: measurements are stored between two.
_CALL_S = 0.02
_UNFINISHED = "SELECT number FROM jobs WHERE state IN ('queued', 'running')"
_LOOK = """SELECT number, workload, device_class, target, median_s, outcome, engine, job, copied_from FROM records
    WHERE number > ? ORDER BY number LIMIT ?"""
# Every trace of a workload that is not its base has it for base.
_LONELY_BASES = """SELECT number FROM traces b INDEXED BY traces_bases WHERE base IS NULL AND number > ? AND NOT EXISTS
    (SELECT 1 FROM traces d WHERE d.workload = b.workload AND d.base IS NOT NULL) ORDER BY number LIMIT ?"""


class SqliteCompactor:
    """See tracker.store.base.Compactor."""

    def __init__(self, file: StoreFile, keep: int) -> None:
        self._file = file
        self._untuned = file.words.number(BASELINE)
        self._survey = LogSurvey(keep)
        self._records = _Pace(2_000)
        self._rows = _Pace(200)
        self._pages = _Pace(200)
        self._doomed = array("q")
        self._removed = 0
        self._next_doomed = 0
        self._used = bytearray()
        self._used_to = 0
        self._trace_to = 0
        self._to_free = 0
        self._phases = [self._remove_records, self._find_used, self._remove_traces, self._remove_bases, self._shrink]

    def survey(self) -> Compaction | None:
        with self._records.timed() as count:
            rows = self._file.db.conn.execute(_LOOK, [self._survey.newest, count]).fetchall()
            unfinished = {row[0] for row in self._file.db.conn.execute(_UNFINISHED)}
            for number, workload, device_class, target, median_s, outcome, engine, job, copied_from in rows:
                self._survey.weigh(
                    number,
                    (workload, device_class, target),
                    untuned=engine == self._untuned,
                    median_s=median_s,
                    outcome=outcome,
                    unfinished=job in unfinished,
                    copied=copied_from is not None,
                )
        if rows:
            return None
        self._doomed = self._survey.spare()
        self._to_free = self._room()
        return self._progress()

    def _room(self) -> int:
        """Bytes that will be free: free ones, and of the log's the part that goes."""
        pages, free, size = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        others = self._about("workloads", "module") + self._about("history", "packed", "task", "target")
        log, seen = max(0, (pages - free) * size - others), self._survey.seen
        return free * size + (log * len(self._doomed) // seen if seen else 0)

    def _about(self, table: str, *columns: str) -> int:
        """Bytes of a table, by its first rows: to add up all would hold up what is measured meanwhile."""
        length = " + ".join(f"length({column})" for column in columns)
        mean, count = self._file.db.conn.execute(
            f"SELECT avg({length}), (SELECT max(rowid) FROM {table}) FROM (SELECT * FROM {table} LIMIT 50)"
        ).fetchone()
        return int((mean or 0) * (count or 0))

    def remove(self) -> Compaction:
        if self._phases and self._phases[0]():
            self._phases.pop(0)
        return self._progress()

    def _progress(self) -> Compaction:
        return Compaction(
            records=self._survey.seen,
            to_remove=len(self._doomed),
            removed=self._removed,
            file_bytes=self._pragma("page_count") * self._pragma("page_size"),
            bytes_to_free=self._to_free,
            shrinks=self._pragma("auto_vacuum") == 2,
            done=not self._phases,
        )

    # -- phases: each does a little and says whether it is over

    def _remove_records(self) -> bool:
        with self._rows.timed() as count:
            numbers = self._doomed[self._next_doomed : self._next_doomed + count]
            # A job may have been taken up again since the survey.
            self._removed += self._delete("records", list(numbers), f"(job IS NULL OR job NOT IN ({_UNFINISHED}))")
        self._next_doomed += len(numbers)
        return self._next_doomed >= len(self._doomed)

    def _find_used(self) -> bool:
        with self._records.timed() as count:
            return self._mark_used(count) < count

    def _mark_used(self, count: int) -> int:
        sql = "SELECT number, trace FROM records WHERE number > ? ORDER BY number LIMIT ?"
        rows = self._file.db.conn.execute(sql, [self._used_to, count]).fetchall()
        for _, trace in rows:
            if trace is not None:
                if trace >= len(self._used):
                    self._used.extend(bytes(trace + 4096 - len(self._used)))
                self._used[trace] = 1
        if rows:
            self._used_to = rows[-1][0]
        return len(rows)

    def _unused(self, number: int) -> bool:
        return number >= len(self._used) or not self._used[number]

    def _remove_traces(self) -> bool:
        return self._remove_unused("SELECT number, base FROM traces WHERE number > ? ORDER BY number LIMIT ?")

    def _remove_bases(self) -> bool:
        over = self._remove_unused(_LONELY_BASES)
        self._file.traces.forget()
        return over

    def _remove_unused(self, sql: str) -> bool:
        with self._rows.timed() as count:
            # What was recorded since the last look may use a trace that nothing used then.
            while self._mark_used(1_000):
                pass
            rows = self._file.db.conn.execute(sql, [self._trace_to, count]).fetchall()
            # Bases come last, those alone that no trace builds on any more.
            unused = [row[0] for row in rows if self._unused(row[0]) and (len(row) == 1 or row[1] is not None)]
            with self._unchecked():
                self._delete("traces", unused)
        self._trace_to = rows[-1][0] if len(rows) == count else 0
        return len(rows) < count

    def _shrink(self) -> bool:
        free = self._pragma("freelist_count")
        if free and self._pragma("auto_vacuum") == 2:
            with self._pages.timed() as count:
                self._file.shrink(count)
            if 0 < self._pragma("freelist_count") < free:
                return False
        self._file.checkpoint()
        return True

    # -- SQL

    def _delete(self, table: str, numbers: list[int], condition: str = "1") -> int:
        with self._file.writing():
            return sum(
                self._file.db.conn.execute(
                    f"DELETE FROM {table} WHERE number IN {places([some])} AND {condition}", list(some)
                ).rowcount
                for some in parts(numbers)
            )

    @contextmanager
    def _unchecked(self) -> Iterator[None]:
        # To check one trace SQLite reads all records: an index for it would cost every insert.
        self._file.db.conn.execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            self._file.db.conn.execute("PRAGMA foreign_keys = ON")

    def _pragma(self, name: str) -> int:
        return int(self._file.db.conn.execute(f"PRAGMA {name}").fetchone()[0])


class _Pace:
    """How much fits into one call, by how long the last one took."""

    def __init__(self, count: int) -> None:
        self._count = count

    @contextmanager
    def timed(self) -> Iterator[int]:
        began = time.perf_counter()
        yield self._count
        took = max(1e-6, time.perf_counter() - began)
        self._count = min(20_000, max(16, int(self._count * min(1.5, max(0.25, _CALL_S / took)))))
