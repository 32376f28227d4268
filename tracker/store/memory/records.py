"""The tuning log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from tvm_farm.tracker.domain import Outcome, Record, RecordFilter, TimingPlan, TrialTimes
from tvm_farm.tracker.domain.device_class import ClassMove
from tvm_farm.tracker.store.base import NEWEST_ALIKE
from tvm_farm.tracker.store.counts import RecordCounts
from tvm_farm.tracker.store.memory.compaction import MemoryCompactor
from tvm_farm.tracker.store.memory.jobs import MemoryJobs
from tvm_farm.tracker.store.memory.record_filter import wanted
from tvm_farm.tracker.store.memory.record_log import RecordLog, beyond
from tvm_farm.tracker.store.memory.workloads import MemoryWorkloads

__all__ = ["MemoryRecords"]

V = TypeVar("V")

#: Records that are looked at for one page.
_SCAN = 20_000


class MemoryRecords:
    def __init__(self, log: RecordLog, jobs: MemoryJobs, workloads: MemoryWorkloads) -> None:
        self._log = log
        self._jobs = jobs
        self._workloads = workloads

    def add(self, records: Sequence[Record]) -> list[Record]:
        new: dict[str, Record] = {}
        for record in records:
            if record.trial_id in new or self._log.number(record.trial_id) is not None:
                continue
            if record.job_id and record.job_id not in self._jobs:
                raise ValueError(
                    f"the record of trial {record.trial_id} names job {record.job_id}, which is not stored"
                )
            new[record.trial_id] = record
        counts = RecordCounts()
        self._log.append(new.values())
        for record in new.values():
            counts.add(record, record.median_s)
        self._jobs.count(counts)
        return [
            record if new.get(record.trial_id) is record else self.get(record.trial_id) or record for record in records
        ]

    def classes(self) -> list[str]:
        return sorted({record.measurement.device_class for _, record in self._log.snapshot()})

    def move(self, moves: Sequence[ClassMove]) -> int:
        moved: dict[int, Record] = {}
        for move in moves:
            for number, record in self._log.snapshot():
                record = moved.get(number, record)
                m = record.measurement
                if m.device_class == move.before and move.device_id in ("", m.device_id):
                    moved[number] = replace(record, measurement=replace(m, device_class=move.after))
        self._log.put(moved)
        return len(moved)

    def refute(self, trial_id: str, detail: str) -> int | None:
        kernel = self.get(trial_id)
        if kernel is None or not kernel.trace:
            return None
        refuted: dict[int, Record] = {}
        for number, record in self._numbered(self._log.of_workload(kernel.workload)):
            if record.measurement.outcome is Outcome.OK and _kernel(record) == _kernel(kernel):
                wrong = replace(
                    record.measurement, outcome=Outcome.WRONG_RESULT, detail=detail, run_secs=(), cut_short=False
                )
                refuted[number] = replace(record, measurement=wrong)
        self._log.put(refuted)
        self._count_refuted(Counter((record.job_id, record.task_id) for record in refuted.values()))
        return len(refuted)

    def _count_refuted(self, tasks: Counter[tuple[str, str]]) -> None:
        """``tasks``: how many kernels of each, by the ids of job and task."""
        for (job_id, task_id), refuted in tasks.items():
            if task := self._jobs.task(task_id):
                of_job = [record for _, record in self._numbered(self._log.of_job(job_id)) if not record.is_baseline]
                left = [record.median_s for record in of_job if record.task_id == task_id]
                best_s = min((seconds for seconds in left if seconds is not None), default=0.0)
                self._jobs.put_task(replace(task, failed=task.failed + refuted, best_s=best_s))

    def _numbered(self, numbers: Iterable[int]) -> list[tuple[int, Record]]:
        """Of numbers that are there."""
        return [(number, record) for number in numbers if (record := self._log.get(number))]

    def get(self, trial_id: str) -> Record | None:
        number = self._log.number(trial_id)
        return None if number is None else self._log.get(number)

    def numbered(self, numbers: Sequence[int]) -> list[Record]:
        return [record for _, record in self._numbered(numbers)]

    def of_job(self, job_id: str) -> set[str]:
        return {record.trial_id for _, record in self._numbered(self._log.of_job(job_id))}

    def trial_ids(self, start: str) -> list[str]:
        if self._log.number(start) is not None:
            return [start]
        return sorted(trial_id for trial_id in self._log.trial_ids() if trial_id.startswith(start))[:10]

    def unknown_trials(self, trial_ids: Sequence[str]) -> list[str]:
        return [trial_id for trial_id in trial_ids if self._log.number(trial_id) is None]

    def count(self) -> int:
        return len(self._log)

    def page(
        self, query: RecordFilter, classes: Collection[str] | None, after: int, limit: int
    ) -> tuple[list[Record], int]:
        numbers = self._log.all()
        if query.job_id:
            numbers = self._log.of_job(query.job_id)
        elif query.workload:
            numbers = self._log.of_workload(query.workload)

        def take(record: Record) -> Record | None:
            return record if wanted(record, query, classes, self._workloads.dims) else None

        return self._paged(beyond(numbers, after, query.newest_first), limit, take)

    def trial_page(self, after: int, limit: int) -> tuple[list[str], int]:
        return self._paged(beyond(self._log.all(), after, False), limit, lambda record: record.trial_id)

    def times(self, job_id: str, after: int, limit: int) -> tuple[list[TrialTimes], int]:
        return self._paged(beyond(self._log.of_job(job_id), after, False), limit, _times)

    def _paged(self, numbers: Iterable[int], limit: int, take: Callable[[Record], V | None]) -> tuple[list[V], int]:
        """What ``take`` makes of the first records that it wants, and the last number that was looked at or 0."""
        page: list[V] = []
        for looked_at, (number, record) in enumerate(self._numbered(numbers), 1):
            if (taken := take(record)) is not None:
                page.append(taken)
            if len(page) == limit or looked_at == _SCAN:
                return page, number
        return page, 0

    def measured_workloads(self) -> list[str]:
        return sorted(self._log.workloads())

    def measured_classes(self, workload: str) -> list[str]:
        records = self._numbered(self._log.of_workload(workload))
        return sorted({record.measurement.device_class for _, record in records if record.median_s is not None})

    def best(
        self, workloads: Sequence[str], classes: Collection[str] | None, target: str, per_workload: int
    ) -> list[Record]:
        best: list[Record] = []
        for workload in workloads:
            timed = [
                (record.median_s, number, record)
                for number, record in self._numbered(self._log.of_workload(workload))
                if record.median_s is not None
                and not record.copied_from
                and (classes is None or record.measurement.device_class in classes)
                and target in ("", record.target)
            ]
            best += [record for _, _, record in sorted(timed, key=lambda each: each[:2])[:per_workload]]
        return best

    def alike(
        self, workload: str, device_class: str, target: str, plan: TimingPlan, traces: Sequence[str]
    ) -> list[list[Record]]:
        found: dict[str, list[Record]] = {trace: [] for trace in traces}
        for _, record in reversed(self._numbered(self._log.of_workload(workload))):
            same = found.get(record.trace)
            if same is None or len(same) == NEWEST_ALIKE or record.imported_from:
                continue
            if (record.measurement.device_class, record.target, record.plan) != (device_class, target, plan):
                continue
            if record.is_baseline == (not record.trace):
                same.append(record)
        return [list(found[trace]) for trace in traces]

    def compactor(self, keep: int) -> MemoryCompactor:
        return MemoryCompactor(self._log, self._jobs, keep)


def _kernel(record: Record) -> tuple[str, ...]:
    return record.workload, record.target, record.measurement.device_class, record.trace


def _times(record: Record) -> TrialTimes:
    measured = record.measurement
    return TrialTimes(
        measured.timeline,
        measured.outcome,
        not record.is_baseline,
        measured.cut_short,
        measured.device_name,
        bool(record.copied_from),
    )
