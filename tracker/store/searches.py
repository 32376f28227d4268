"""What jobs' searches did, as a table, and which of the log's candidates are the same."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlite_utils import Database

from tvm_farm.tracker.domain import Job, JobKind, JobSpec, Record, SearchStep, TimingPlan
from tvm_farm.tracker.domain.record import BASELINE
from tvm_farm.tracker.domain.search import search_key
from tvm_farm.tracker.store.encoding import decode, encode, encode_changed
from tvm_farm.tracker.store.queries import COLUMNS
from tvm_farm.tracker.store.traces import Traces, Words

__all__ = ["SearchTable"]

_JOB = "(SELECT number FROM jobs WHERE id = ?)"
#: Of one candidate that was measured often, so many of the newest are looked at.
_NEWEST = 16
# By number the newest first, which the index on traces gives as it is; that on classes would be read whole.
_ALIKE = f"""SELECT {", ".join(COLUMNS)} FROM records INDEXED BY {{}} WHERE {{}}
    AND +device_class = ? AND +target = ? AND +plan = ? AND engine {{}} ? AND imported IS NULL
    ORDER BY number DESC LIMIT {_NEWEST}"""
_OF_TRACE = _ALIKE.format("records_of_trace", "trace = ?", "IS NOT")
_UNTUNED = _ALIKE.format("records_untuned", "trace IS NULL AND workload = ?", "IS")
_ALREADY = f"""SELECT id, spec FROM jobs j WHERE model_digest = ? AND device_class = ? AND target = ? AND id <> ?
    AND kind = '{JobKind.TUNE.value}' AND EXISTS (SELECT 1 FROM searches WHERE job = j.number)
    ORDER BY trials DESC, number DESC"""


class SearchTable:
    """The part of SqliteStore about searches. ``_words`` and ``_traces`` are made when it is opened."""

    _db: Database
    _words: Words
    _traces: Traces

    def _writing(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _record(self, row: Any) -> Record:
        raise NotImplementedError

    def add_search(self, job_id: str, step: SearchStep) -> None:
        with self._writing(), self._db.atomic():
            self._db.conn.execute(
                f"INSERT INTO searches VALUES ({_JOB}, ?, ?) ON CONFLICT DO NOTHING",
                [job_id, step.number, encode(step)],
            )

    def searches(self, job_id: str, after: int, limit: int) -> list[SearchStep]:
        rows = self._db.conn.execute(
            f"SELECT step FROM searches WHERE job = {_JOB} AND number > ? ORDER BY number LIMIT ?",
            [job_id, after, limit],
        )
        return [decode(SearchStep, row[0]) for row in rows]

    def searched_alike(self, job: Job) -> str | None:
        # Compared as they are kept: the bytes of a model are not.
        wanted = encode(search_key(job.spec))
        values = [job.spec.model.digest, job.device_class, job.target, job.id]
        for job_id, text in self._db.conn.execute(_ALREADY, values):
            if encode(search_key(decode(JobSpec, text))) == wanted:
                return str(job_id)
        return None

    def alike(
        self, workload: str, device_class: str, target: str, plan: TimingPlan, traces: Sequence[str]
    ) -> list[list[Record]]:
        word = self._words.number
        same = [word(device_class), word(target), word(encode_changed(plan)), word(BASELINE)]
        workload_number = word(workload)
        if workload_number is None or None in same[:3]:
            return [[] for _ in traces]
        numbers = iter(self._traces.numbers([(workload_number, trace) for trace in traces if trace]))
        found = []
        for trace in traces:
            first = next(numbers) if trace else workload_number
            sql = _OF_TRACE if trace else _UNTUNED
            rows = [] if first is None else self._db.conn.execute(sql, [first, *same]).fetchall()
            found.append([self._record(row) for row in rows])
        return found
