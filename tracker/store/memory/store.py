"""The store in memory: of this process alone, gone with it."""

from __future__ import annotations

from tvm_farm.tracker.store.base import QUESTION_S
from tvm_farm.tracker.store.memory.fleet import MemoryDevices, MemoryOrders, MemoryPools
from tvm_farm.tracker.store.memory.history import MemoryHistory
from tvm_farm.tracker.store.memory.imports import MemoryImports
from tvm_farm.tracker.store.memory.jobs import MemoryJobs
from tvm_farm.tracker.store.memory.log_reader import MemoryLogReader
from tvm_farm.tracker.store.memory.record_log import RecordLog
from tvm_farm.tracker.store.memory.records import MemoryRecords
from tvm_farm.tracker.store.memory.searches import MemorySearches
from tvm_farm.tracker.store.memory.workloads import MemoryWorkloads

__all__ = ["MemoryStore"]


class MemoryStore:
    """See tracker.store.base.Store. It is never full."""

    def __init__(self) -> None:
        self._log = RecordLog()
        self.orders = MemoryOrders()
        self.devices = MemoryDevices(self.orders)
        self.pools = MemoryPools()
        self.workloads = MemoryWorkloads()
        self.jobs = MemoryJobs(self.workloads)
        self.records = MemoryRecords(self._log, self.jobs, self.workloads)
        self.searches = MemorySearches(self.jobs)
        self.history = MemoryHistory()
        self.imports = MemoryImports(self.workloads, self.jobs, self.records, self.history)

    def reader(self, seconds: float = QUESTION_S) -> MemoryLogReader:
        return MemoryLogReader(self._log, self.workloads, seconds)

    def checkpoint(self) -> None:
        """Nothing here outlives the process."""

    def close(self) -> None:
        """There is nothing to bring anywhere."""
