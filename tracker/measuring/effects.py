"""Effects: what the measuring core wants done. The shell of the core does each, in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm_farm.tracker.domain import Record
from tvm_farm.tracker.measuring.board import Board, Order
from tvm_farm.tracker.measuring.stream import Answer, Stream
from tvm_farm.tracker.measuring.trial import PendingTrial

__all__ = ["Deliver", "Effect", "Emit", "JobRecorded", "Send", "Write"]


@dataclass(frozen=True, slots=True)
class Send:
    """``order`` goes to ``board``."""

    board: Board
    order: Order


@dataclass(frozen=True, slots=True)
class Deliver:
    """``answer`` goes to the client of ``stream``."""

    stream: Stream
    answer: Answer


@dataclass(frozen=True, slots=True)
class Write:
    """``record`` goes into the log. The event Written follows once the log has it."""

    #: What the record is of: a trial, or the stream that told of a failed build.
    about: PendingTrial | Stream
    record: Record


@dataclass(frozen=True, slots=True)
class JobRecorded:
    """The log has a new record."""

    #: The job of the record, "" for a record of no job.
    job_id: str


Effect = Send | Deliver | Write | JobRecorded

#: Takes an effect of a part of the core.
Emit = Callable[[Effect], None]
