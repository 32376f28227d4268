"""One candidate on one device, as both sides of the wire hold it: mirrors of measurement.proto."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from tvm_farm.protos.device import Telemetry

__all__ = [
    "BOARD_STEPS",
    "Argument",
    "Artifact",
    "Limits",
    "MeasureRequest",
    "Measurement",
    "Outcome",
    "OutputTensor",
    "Preparation",
    "Program",
    "ProgramKind",
    "Timeline",
    "TimingPlan",
]


@dataclass(frozen=True)
class Artifact:
    """A file named by what it holds: ``digest`` is sha256 in hex, ``size`` in bytes.

    ``inline`` carries the bytes of a small one; empty means "fetch it by its digest".
    """

    digest: str
    size: int
    inline: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, data: bytes) -> Artifact:
        """``data`` with its name."""
        return cls(hashlib.sha256(data).hexdigest(), len(data), data)


@dataclass(frozen=True)
class Argument:
    """A tensor argument and where its values come from: exactly one of the last three is set."""

    shape: tuple[int, ...]
    dtype: str
    fill_seed: int | None = None
    data: bytes | None = field(default=None, repr=False)
    param: str | None = None


class ProgramKind(str, Enum):
    KERNEL = "kernel"
    MODEL = "model"


@dataclass(frozen=True)
class Program:
    """What a device executes. See protos/farm/v1/measurement.proto for each field."""

    kind: ProgramKind
    library: Artifact
    entry: str
    args: tuple[Argument, ...]
    params: Artifact | None = None
    outputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class TimingPlan:
    """TVM's EvaluatorConfig: ``repeat`` timings of ``number`` calls, ``number`` growing to ``min_repeat_ms``."""

    number: int = 1
    repeat: int = 1
    min_repeat_ms: int = 0
    cooldown_ms: int = 0
    repeats_to_cooldown: int = 1
    cache_flush_bytes: int = 0


@dataclass(frozen=True)
class Limits:
    """``run_timeout_s`` counts execution on the board alone; ``memory_bytes`` 0 means no limit.

    A timing above ``hopeless_s`` seconds a call ends the plan there: the rest of it is not worth the board's time.
    0 means that none is. See Measurement.cut_short.
    """

    run_timeout_s: float = 10.0
    memory_bytes: int = 0
    hopeless_s: float = 0.0


@dataclass(frozen=True)
class MeasureRequest:
    """One trial. A second request with the same ``trial_id`` is the same trial."""

    trial_id: str
    program: Program
    plan: TimingPlan = TimingPlan()
    limits: Limits = Limits()


class Outcome(str, Enum):
    """What came of a trial. A failed kernel is a value, never an exception."""

    OK = "ok"
    BUILD_ERROR = "build error"
    BUILD_TIMEOUT = "build timeout"
    RUN_ERROR = "run error"
    RUN_TIMEOUT = "run timeout"
    CRASH = "crash"
    OUT_OF_MEMORY = "out of memory"
    WRONG_RESULT = "wrong result"
    CANCELLED = "cancelled"
    UNPLACEABLE = "unplaceable"
    HOST_FAULT = "host fault"


@dataclass(frozen=True)
class OutputTensor:
    """A result that came back: ``data`` is row-major and little-endian."""

    shape: tuple[int, ...]
    dtype: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Preparation:
    """The steps of a trial before the tracker has it: Unix seconds by the tuning worker's clock, 0 where not taken."""

    #: The search that found it began. A search of t seconds that found n candidates costs each of them t / n: this is
    #: ``proposed_s - t / n``.
    searched_s: float = 0.0
    proposed_s: float = 0.0
    #: A builder took it up.
    building_s: float = 0.0
    #: Its code is generated, linking begins.
    compiled_s: float = 0.0
    #: Linked, or failed to build.
    built_s: float = 0.0

    def prepared(self) -> dict[str, Any]:
        """These steps by their names, also of a value that has more: for one that goes on from them."""
        told = self.__dict__
        return {name: told[name] for name in _PREPARATION}


_PREPARATION = tuple(step.name for step in fields(Preparation))


@dataclass(frozen=True)
class Timeline(Preparation):
    """Every step of a trial in their order, once: what else names them (messages, columns, reports) follows from here.

    Two clocks: the tuning worker's for the preparation, the tracker's from there on. BOARD_STEPS are placed into the
    tracker's time when they arrive (tracker/wire/clocks.py), late by as long as they were on their way; between them
    only differences mean anything.
    """

    #: The tracker has it.
    queued_s: float = 0.0
    #: Its order left for a board.
    sent_s: float = 0.0
    #: Order and files are on the board.
    received_s: float = 0.0
    started_s: float = 0.0
    finished_s: float = 0.0
    #: Its measurement is back at the tracker.
    answered_s: float = 0.0
    #: Its record is committed.
    stored_s: float = 0.0


#: Steps that a board tells.
BOARD_STEPS = ("received_s", "started_s", "finished_s")


@dataclass(frozen=True)
class Measurement:
    """What came of a trial. ``run_secs`` holds seconds a call, one a repeat, and is empty unless OK.

    ``cut_short``: a timing exceeded Limits.hopeless_s, and the plan was not carried out to its end. ``run_secs``
    then ends with that timing, which may be shorter than ``min_repeat_ms`` or, where a first call alone took more
    than twice that and 20 ms, be of that call.
    """

    trial_id: str
    outcome: Outcome
    detail: str = ""
    signal: int = 0
    run_secs: tuple[float, ...] = ()
    outputs: tuple[OutputTensor, ...] = ()
    device_id: str = ""
    device_name: str = ""
    device_class: str = ""
    before: Telemetry | None = None
    after: Telemetry | None = None
    timeline: Timeline = Timeline()
    cut_short: bool = False
