"""What the tracker keeps: devices, pools, jobs, tasks, workloads and tuning records."""

from tracker.store.base import Store
from tracker.store.lock import StateFolder
from tracker.store.reader import LogReader
from tracker.store.sqlite import SqliteStore

__all__ = ["LogReader", "SqliteStore", "StateFolder", "Store"]
