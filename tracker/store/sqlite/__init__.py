"""The store on SQLite: see README.md in the folder above for its tables."""

from tvm_farm.tracker.store.sqlite.other_log import open_other
from tvm_farm.tracker.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "open_other"]
