"""The tuning log: measurements kept for good, and what they are about."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from enum import Enum

from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.measurement import Measurement, Outcome, Preparation, TimingPlan

__all__ = ["BASELINE", "Record", "RecordContext", "RecordFilter", "RecordOrder", "SqlAnswer", "Workload", "form_of"]


@dataclass(frozen=True)
class Workload:
    """An operator with its shapes. ``key`` is its structural hash, ``module`` its IRModule as tvm.ir.save_json."""

    key: str
    name: str
    module: str = field(repr=False)
    flops: float = 0.0


def form_of(name: str) -> str:
    """What the names of operators of one kind have in common, whatever their shapes: numbers behind a word go."""
    return re.sub(r"(?<=[^\W\d_])\d+(?=_|$)", "", name)


#: As the engine of a record: nobody proposed it, it is a task's untuned kernel.
BASELINE = "untuned"


@dataclass(frozen=True, kw_only=True)
class RecordContext(Preparation):
    """What the log keeps beside a measurement."""

    task_id: str
    workload: str
    workload_name: str
    target: str
    engine: str
    trace: str = field(default="", repr=False)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """One measured candidate. ``engine`` is BASELINE for a task's baseline, whose ``trace`` is empty.

    ``imported_from`` and ``imported_unix_s``: of one that another farm or program measured; "" and 0 of one of ours.
    ``copied_from``: the trial whose record answered this one from the log; "" where it was measured.
    """

    trial_id: str
    job_id: str
    task_id: str
    workload: str
    workload_name: str
    target: str
    engine: str
    trace: str = field(repr=False)
    measurement: Measurement
    plan: TimingPlan
    versions: dict[str, str] = field(default_factory=dict)
    runner_mode: RunnerMode | None = None
    user: str = ""
    imported_from: str = ""
    imported_unix_s: float = 0.0
    copied_from: str = ""

    @property
    def is_baseline(self) -> bool:
        """Whether it is of a task's untuned kernel."""
        return self.engine == BASELINE

    @property
    def median_s(self) -> float | None:
        """Of its timings, seconds a call; None unless its outcome is OK."""
        measured = self.measurement
        return statistics.median(measured.run_secs) if measured.outcome is Outcome.OK and measured.run_secs else None


class RecordOrder(str, Enum):
    """Fastest, most operations a second, longest on the board first. What has no such figure is left out."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    BOARD_TIME = "board-time"


@dataclass(frozen=True)
class RecordFilter:
    """Every field that is set narrows the query. ``limit`` 0 means all.

    ``shapes``, as parse_dims writes them: of workloads that have each of them. Without ``order`` records come as they
    were stored, or with ``newest_first`` the other way round; with it ``reverse`` turns it round.
    """

    job_id: str = ""
    task_id: str = ""
    workload: str = ""
    device_class: str = ""
    device: str = ""
    engine: str = ""
    outcome: Outcome | None = None
    since_unix_s: float = 0.0
    pool: str = ""
    workload_name: str = ""
    limit: int = 0
    newest_first: bool = False
    target: str = ""
    user: str = ""
    shapes: tuple[str, ...] = ()
    order: RecordOrder | None = None
    reverse: bool = False


@dataclass(frozen=True)
class SqlAnswer:
    """Rows of a question in SQL. ``cut``: there would have been more."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int | float | str | bytes | None, ...], ...]
    cut: bool = False
