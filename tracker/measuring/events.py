"""What happens to trials and boards, as the measuring core is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.tracker.domain import FailedBuild, Measurement, Record, RecordContext
from tvm_farm.tracker.measuring.board import Board
from tvm_farm.tracker.measuring.request import TrialRequest
from tvm_farm.tracker.measuring.stream import Stream
from tvm_farm.tracker.measuring.trial import PendingTrial

__all__ = [
    "BoardFelt",
    "BoardJoined",
    "BoardLeft",
    "BoardStopped",
    "BuildFailed",
    "Event",
    "JobCancelled",
    "StreamClosed",
    "StreamOpened",
    "Tick",
    "TrialCancelled",
    "TrialMeasured",
    "TrialStarted",
    "TrialSubmitted",
    "TrialsReturned",
    "Written",
]


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """``recorded``: ids of the trials that its job has in the log."""

    stream: Stream
    recorded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """Its client went away: what is queued is dropped, what runs is cancelled."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class TrialSubmitted:
    """With ``context`` the trial is recorded. One that is on its way already is the same trial."""

    stream: Stream
    request: TrialRequest
    context: RecordContext | None


@dataclass(frozen=True, slots=True)
class BuildFailed:
    """A candidate was never built."""

    stream: Stream
    build: FailedBuild


@dataclass(frozen=True, slots=True)
class TrialCancelled:
    """Its client does not want it any more. An unknown trial is ignored, and one whose measurement is here."""

    stream: Stream
    trial_id: str


@dataclass(frozen=True, slots=True)
class JobCancelled:
    """Every trial of the job whose measurement is not here is answered CANCELLED, those to come as well."""

    job_id: str


@dataclass(frozen=True, slots=True)
class BoardJoined:
    """The board takes work from now on, or its pools or its lease changed."""

    board: Board


@dataclass(frozen=True, slots=True)
class BoardStopped:
    """The board takes no new work; what it holds it still answers."""

    board: Board


@dataclass(frozen=True, slots=True)
class BoardLeft:
    """The board is lost: what it held goes to others."""

    board: Board


@dataclass(frozen=True, slots=True)
class BoardFelt:
    """The board is well or ails, or has more or less memory free than before."""

    board: Board


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """The board executes the trial from now on."""

    board: Board
    trial_id: str


@dataclass(frozen=True, slots=True)
class TrialsReturned:
    """The board did not run these. They go to other boards."""

    board: Board
    trial_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class TrialMeasured:
    """The board answers. It hears that this is stored, at once where nobody waits for it."""

    board: Board
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Written:
    """A record that was to be written, see Write, is in the log as ``record``."""

    about: PendingTrial | Stream
    record: Record


@dataclass(frozen=True, slots=True)
class Tick:
    """A second went by."""


Event = (
    StreamOpened
    | StreamClosed
    | TrialSubmitted
    | BuildFailed
    | TrialCancelled
    | JobCancelled
    | BoardJoined
    | BoardStopped
    | BoardLeft
    | BoardFelt
    | TrialStarted
    | TrialsReturned
    | TrialMeasured
    | Written
    | Tick
)
