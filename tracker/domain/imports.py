"""What comes from other logs, and what goes out of this one."""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_farm.tracker.domain.job import Job
from tvm_farm.tracker.domain.record import Record, Workload

__all__ = ["Compaction", "HistoryFilter", "HistoryLine", "ImportPart", "ImportReport"]


@dataclass(frozen=True)
class HistoryLine:
    """A line of a log whose candidates this farm's TVM cannot replay: kept to be read, no measurement of ours.

    ``task`` and ``target`` are as the log has them; ``cost_s`` is the median of its costs in seconds, 0 where it
    failed, with the log's own ``error_no``. ``line`` is the line itself.
    """

    format: str
    task: str
    target: str
    device_class: str
    cost_s: float
    error_no: int
    measured_unix_s: float
    line: str = field(repr=False)
    imported_from: str = ""
    imported_unix_s: float = 0.0


@dataclass(frozen=True)
class HistoryFilter:
    """Every field that is set narrows the question, but ``failed``, which lets failed ones in. ``limit`` 0: all."""

    format: str = ""
    task: str = ""
    failed: bool = False
    limit: int = 0


@dataclass(frozen=True)
class ImportPart:
    """Some of what is imported, kept together or not at all. See log.proto."""

    source: str = ""
    user: str = ""
    workloads: tuple[Workload, ...] = ()
    jobs: tuple[Job, ...] = ()
    records: tuple[Record, ...] = ()
    history: tuple[HistoryLine, ...] = ()
    imported_unix_s: float = 0.0


@dataclass(frozen=True)
class ImportReport:
    """How much was new, and how much was here already; ``imported_unix_s`` as it is marked with."""

    records: int = 0
    known_records: int = 0
    history: int = 0
    known_history: int = 0
    imported_unix_s: float = 0.0

    def plus(self, other: ImportReport) -> ImportReport:
        return ImportReport(
            self.records + other.records,
            self.known_records + other.known_records,
            self.history + other.history,
            self.known_history + other.known_history,
            self.imported_unix_s or other.imported_unix_s,
        )


@dataclass(frozen=True)
class Compaction:
    """How far a compaction is. ``file_bytes`` is the file's present size, ``bytes_to_free`` an estimate of its end.

    ``shrinks`` False: an older store whose file keeps its size until a tracker starts; the room is used meanwhile.
    """

    records: int = 0
    to_remove: int = 0
    removed: int = 0
    file_bytes: int = 0
    bytes_to_free: int = 0
    shrinks: bool = False
    done: bool = False
