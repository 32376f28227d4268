"""Records by their numbers, with what leads to them."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tvm_farm.tracker.domain import Record

__all__ = ["RecordLog", "beyond"]


class RecordLog:
    """One thread changes it; any may take a ``snapshot``. What goes in and comes out shares nothing that changes."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._records: dict[int, Record] = {}
        self._of_trial: dict[str, int] = {}
        self._numbers: list[int] = []
        self._of_job: dict[str, list[int]] = {}
        self._of_workload: dict[str, list[int]] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._records)

    def append(self, records: Iterable[Record]) -> None:
        """They have the next numbers, and no outputs."""
        own = [_own(replace(record, measurement=replace(record.measurement, outputs=()))) for record in records]
        with self._changing:
            for number, record in enumerate(own, self._last + 1):
                self._records[number] = record
                self._of_trial[record.trial_id] = number
                self._numbers.append(number)
                if record.job_id:
                    self._of_job.setdefault(record.job_id, []).append(number)
                self._of_workload.setdefault(record.workload, []).append(number)
            self._last += len(own)

    def put(self, records: Mapping[int, Record]) -> None:
        """Replace the records of those numbers, each by one of the same trial, job and workload."""
        with self._changing:
            self._records.update(records)

    def remove(self, numbers: Collection[int]) -> None:
        """Of records that are there. Their numbers are not given again."""
        gone = [self._records[number] for number in numbers]
        with self._changing:
            for number, record in zip(numbers, gone, strict=True):
                del self._records[number]
                del self._of_trial[record.trial_id]
            self._numbers = list(self._records)
            _leave_out(numbers, self._of_job, {record.job_id for record in gone if record.job_id})
            _leave_out(numbers, self._of_workload, {record.workload for record in gone})

    def number(self, trial_id: str) -> int | None:
        return self._of_trial.get(trial_id)

    def get(self, number: int) -> Record | None:
        record = self._records.get(number)
        return _own(record) if record else None

    def trial_ids(self) -> Collection[str]:
        """Of all records, in any order."""
        return self._of_trial.keys()

    def of_job(self, job_id: str) -> Sequence[int]:
        """Numbers in order."""
        return self._of_job.get(job_id, ())

    def of_workload(self, key: str) -> Sequence[int]:
        """Numbers in order."""
        return self._of_workload.get(key, ())

    def workloads(self) -> Collection[str]:
        """Keys of those that have a record."""
        return self._of_workload.keys()

    def all(self) -> Sequence[int]:
        """Numbers in order."""
        return self._numbers

    def snapshot(self) -> list[tuple[int, Record]]:
        """Numbers and records as they are now."""
        with self._changing:
            return list(self._records.items())


def beyond(numbers: Sequence[int], after: int, newest_first: bool) -> Iterator[int]:
    """Those of ``numbers``, which are in order, that come after ``after``, 0 being before the first."""
    if not newest_first:
        return iter(numbers[bisect_right(numbers, after) :])
    return reversed(numbers[: bisect_left(numbers, after)] if after else numbers)


def _own(record: Record) -> Record:
    return replace(record, versions=dict(record.versions))


def _leave_out(numbers: Collection[int], index: dict[str, list[int]], keys: set[str]) -> None:
    gone = set(numbers)
    for key in keys:
        left = [number for number in index[key] if number not in gone]
        if left:
            index[key] = left
        else:
            del index[key]
