"""The tuning log: its table, the questions to it, and what makes it smaller."""

from tvm_farm.tracker.store.sqlite.records.queries import ordered_query
from tvm_farm.tracker.store.sqlite.records.table import SqliteRecords

__all__ = ["SqliteRecords", "ordered_query"]
