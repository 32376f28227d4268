"""Records to and from rows of their table."""

from __future__ import annotations

import functools
import operator
from typing import Any

import orjson

from tvm_farm.tracker.domain import Measurement, Outcome, Record, RunnerMode, Telemetry, Timeline, TimingPlan
from tvm_farm.tracker.store.encoding import decode, encode, encode_changed
from tvm_farm.tracker.store.sqlite.numbered import pack_secs, unpack_secs
from tvm_farm.tracker.store.sqlite.records.queries import STEPS
from tvm_farm.tracker.store.sqlite.store_file import StoreFile

__all__ = ["RecordRows"]

_plan_text = functools.lru_cache(100)(encode_changed)
_steps = operator.attrgetter(*STEPS)


class RecordRows:
    """Rows as ``queries.COLUMNS`` name their values."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def row(self, record: Record, median_s: float | None, trace: int | None) -> list[Any]:
        """Words and sources have numbers from now on; ``trace`` is the number of the record's. Raises ValueError for an
        unknown job.
        """
        m = record.measurement
        word = self._file.words.kept
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
            median_s,
            pack_secs(m.run_secs),
            trace,
            encode(m.before) if m.before else None,
            encode(m.after) if m.after else None,
            record.copied_from or None,
            *_steps(m.timeline),
            self._file.sources.kept(record.imported_from, record.imported_unix_s) if record.imported_from else None,
        ]

    def _job_number(self, record: Record) -> int | None:
        if not record.job_id:
            return None
        return self._file.words.job_number(record.job_id) or self._file.known_job(
            record.job_id, f"the record of trial {record.trial_id}"
        )

    def record(self, row: Any) -> Record:
        word = self._file.words.word
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
        imported_from, imported_s = self._file.sources.source(row[-1]) if row[-1] else ("", 0.0)
        return Record(
            trial_id=row[0],
            job_id=self._file.words.job_id(row[1]) if row[1] else "",
            task_id=word(row[2]),
            workload=word(row[3]),
            workload_name=word(row[4]),
            target=word(row[5]),
            engine=word(row[10]),
            trace=self._file.traces.text(row[20]) if row[20] else "",
            measurement=measurement,
            plan=decode(TimingPlan, word(row[12])),
            versions=orjson.loads(word(row[13])),
            runner_mode=RunnerMode(word(row[9])) if row[9] else None,
            user=word(row[11]),
            imported_from=imported_from,
            imported_unix_s=imported_s,
            copied_from=row[23] or "",
        )
