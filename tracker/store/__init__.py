"""What the tracker keeps: devices, pools, jobs, tasks, workloads and tuning records."""

from tvm_farm.tracker.store.base import LogReader, OtherLog, Store
from tvm_farm.tracker.store.open import open_other_log, open_store, sqlite_url
from tvm_farm.tracker.store.state_folder import StateFolder

__all__ = ["LogReader", "OtherLog", "StateFolder", "Store", "open_other_log", "open_store", "sqlite_url"]
