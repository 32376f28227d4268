"""The contract of the store.

Values in, values out: changing what was returned never changes the store. Each method is atomic: it happens as a
whole or not at all, and what it did is seen by the next call. A method that writes raises StoreFull, having changed
nothing, when there is no room; the same call may be made again later. One thread calls a store, but for its readers.

ValueError is a mistake of the caller, such as a task of a job that is not here; an implementation says so itself, and
none of its own errors is anyone's to catch.
"""

from __future__ import annotations

from typing import Protocol

from tvm_farm.tracker.store.base.fleet import Devices, Orders, Pools
from tvm_farm.tracker.store.base.imports import History, Imports
from tvm_farm.tracker.store.base.jobs import JobLookup, Jobs
from tvm_farm.tracker.store.base.log_reader import LogReader
from tvm_farm.tracker.store.base.records import RecordPages, Records
from tvm_farm.tracker.store.base.searches import Searches
from tvm_farm.tracker.store.base.workloads import WorkloadLookup, Workloads

__all__ = ["QUESTION_S", "OtherLog", "Store"]

#: Seconds that a question to the log may take.
QUESTION_S = 30.0


class OtherLog(Protocol):
    """What is read of another tracker's store to take it over. Nothing of it is written."""

    @property
    def records(self) -> RecordPages: ...

    @property
    def jobs(self) -> JobLookup: ...

    @property
    def workloads(self) -> WorkloadLookup: ...

    @property
    def history(self) -> History: ...


class Store(Protocol):
    @property
    def devices(self) -> Devices: ...

    @property
    def orders(self) -> Orders: ...

    @property
    def pools(self) -> Pools: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def workloads(self) -> Workloads: ...

    @property
    def records(self) -> Records: ...

    @property
    def searches(self) -> Searches: ...

    @property
    def imports(self) -> Imports: ...

    @property
    def history(self) -> History: ...

    def reader(self, seconds: float = QUESTION_S) -> LogReader:
        """Questions beside the thread that calls the store. It is closed before the store is."""

    def checkpoint(self) -> None:
        """What was written so far survives a power cut from now on, where the store outlives its process at all.

        A killed process never loses any of it.
        """

    def close(self) -> None:
        """Everything is kept that was written; no further call is allowed."""
