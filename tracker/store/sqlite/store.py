"""The store on SQLite: one file in WAL mode, opened by one process, used by one thread.

Durability: ``synchronous=NORMAL`` writes a commit to the log without waiting for the disk, so a killed process loses
nothing and a power cut may lose what was written since the last checkpoint, never the file's consistency. The
caller checkpoints every few seconds while there is something to lose, and after each change of a job's state.
"""

from __future__ import annotations

from pathlib import Path

from tvm_farm.tracker.store.base import QUESTION_S
from tvm_farm.tracker.store.sqlite.fleet import SqliteDevices, SqliteOrders, SqlitePools
from tvm_farm.tracker.store.sqlite.history import SqliteHistory
from tvm_farm.tracker.store.sqlite.imports import SqliteImports
from tvm_farm.tracker.store.sqlite.jobs import SqliteJobs
from tvm_farm.tracker.store.sqlite.log_reader import SqliteLogReader
from tvm_farm.tracker.store.sqlite.records import SqliteRecords
from tvm_farm.tracker.store.sqlite.searches import SqliteSearches
from tvm_farm.tracker.store.sqlite.store_file import StoreFile
from tvm_farm.tracker.store.sqlite.workloads import SqliteWorkloads

__all__ = ["SqliteStore"]


class SqliteStore:
    """See tracker.store.base.Store. Raises StoreTooNew, StateFolderUnusable or StoreFull when it cannot be opened.

    ``read_only``: a store of this version, which another process may be writing. ``lasting`` False: a copy that is
    thrown away soon.
    """

    def __init__(self, path: Path, *, read_only: bool = False, lasting: bool = True) -> None:
        file = self._file = StoreFile(path, read_only=read_only, lasting=lasting)
        self.devices = SqliteDevices(file)
        self.orders = SqliteOrders(file)
        self.pools = SqlitePools(file)
        self.workloads = SqliteWorkloads(file)
        self.jobs = SqliteJobs(file, self.workloads)
        self.records = SqliteRecords(file)
        self.searches = SqliteSearches(file)
        self.history = SqliteHistory(file)
        self.imports = SqliteImports(file, self.workloads, self.jobs, self.records, self.history)

    def reader(self, seconds: float = QUESTION_S) -> SqliteLogReader:
        return SqliteLogReader(self._file.path, seconds)

    def checkpoint(self) -> None:
        self._file.checkpoint()

    def close(self) -> None:
        self._file.close()
