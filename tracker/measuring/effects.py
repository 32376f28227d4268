"""What the measuring core wants done. Whoever runs it does each, in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm_farm.tracker.domain import Record
from tvm_farm.tracker.measuring.board import Board, Order
from tvm_farm.tracker.measuring.stream import Answer, Stream
from tvm_farm.tracker.measuring.trial import Trial

__all__ = ["Deliver", "Effect", "Emit", "JobRecorded", "Send", "Write"]


@dataclass(frozen=True, slots=True)
class Send:
    """An order goes to a board."""

    board: Board
    order: Order


@dataclass(frozen=True, slots=True)
class Deliver:
    """An answer goes to a stream's client."""

    stream: Stream
    answer: Answer


@dataclass(frozen=True, slots=True)
class Write:
    """``record`` goes into the log; Written tells once it is there."""

    about: Trial | Stream
    record: Record


@dataclass(frozen=True, slots=True)
class JobRecorded:
    """The log has a new record of the job, "" of none."""

    job_id: str


Effect = Send | Deliver | Write | JobRecorded

#: How a part of the core wants something done.
Emit = Callable[[Effect], None]
