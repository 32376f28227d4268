"""What the tracker keeps: devices, pools, jobs, tasks, workloads and tuning records."""

from tvm_farm.tracker.store.base import Store
from tvm_farm.tracker.store.lock import StateFolder
from tvm_farm.tracker.store.other import other_store
from tvm_farm.tracker.store.reader import LogReader
from tvm_farm.tracker.store.sqlite import SqliteStore

__all__ = ["LogReader", "SqliteStore", "StateFolder", "Store", "other_store"]
