"""Questions to the log beside the thread that owns it."""

from __future__ import annotations

import time
from collections.abc import Collection

from tvm_farm.tracker.domain import Record, RecordFilter, RecordOrder
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.store.base import SqlReader
from tvm_farm.tracker.store.memory.record_filter import wanted
from tvm_farm.tracker.store.memory.record_log import RecordLog
from tvm_farm.tracker.store.memory.workloads import MemoryWorkloads

__all__ = ["MemoryLogReader"]


class MemoryLogReader:
    """See tracker.store.base.LogReader; ``seconds`` is what a question may take."""

    sql: SqlReader | None = None

    def __init__(self, log: RecordLog, workloads: MemoryWorkloads, seconds: float) -> None:
        self._log = log
        self._workloads = workloads
        self._seconds = seconds
        self._closed = False

    def close(self) -> None:
        self._closed = True

    def numbers(self, query: RecordFilter, classes: Collection[str] | None) -> list[int]:
        assert query.order is not None
        until = time.monotonic() + self._seconds
        keys: list[tuple[float, int]] = []
        for number, record in self._log.snapshot():
            if self._closed or time.monotonic() > until:
                raise InvalidRequest(f"that takes longer than {self._seconds:g} s: narrow it")
            if wanted(record, query, classes, self._workloads.dims):
                figure = self._figure(record, query.order)
                if figure is not None:
                    falling = (query.order is not RecordOrder.LATENCY) is not query.reverse
                    keys.append((-figure if falling else figure, number))
        keys.sort()
        return [number for _, number in keys[: query.limit or None]]

    def _figure(self, record: Record, order: RecordOrder | None) -> float | None:
        """What records are ordered by: seconds, or operations a second. None where a record has no such thing."""
        if order is RecordOrder.BOARD_TIME:
            times = record.measurement.timeline
            return times.finished_s - times.started_s if times.started_s > 0 else None
        if order is RecordOrder.LATENCY or record.median_s is None:
            return record.median_s
        workload = self._workloads.get(record.workload)
        return workload.flops / record.median_s if workload else None
