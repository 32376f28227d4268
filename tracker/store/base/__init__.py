"""What every store promises, an aggregate a module."""

from tvm_farm.tracker.store.base.compaction import Compactor
from tvm_farm.tracker.store.base.fleet import Devices, Orders, Pools
from tvm_farm.tracker.store.base.imports import History, Imports
from tvm_farm.tracker.store.base.jobs import JobLookup, Jobs
from tvm_farm.tracker.store.base.log_reader import LogReader, SqlReader
from tvm_farm.tracker.store.base.records import NEWEST_ALIKE, RecordPages, Records
from tvm_farm.tracker.store.base.searches import Searches
from tvm_farm.tracker.store.base.store import QUESTION_S, OtherLog, Store
from tvm_farm.tracker.store.base.workloads import WorkloadLookup, Workloads

__all__ = [
    "NEWEST_ALIKE",
    "QUESTION_S",
    "Compactor",
    "Devices",
    "History",
    "Imports",
    "JobLookup",
    "Jobs",
    "LogReader",
    "Orders",
    "OtherLog",
    "Pools",
    "RecordPages",
    "Records",
    "Searches",
    "SqlReader",
    "Store",
    "WorkloadLookup",
    "Workloads",
]
