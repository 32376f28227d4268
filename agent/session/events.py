"""The inputs of the session's state machine: what can happen to an agent."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.agent.session.messages import FromTracker
from tvm_farm.protos.measurement import Measurement

__all__ = [
    "DiskFailed",
    "DiskMended",
    "Event",
    "FilesFailed",
    "FilesReady",
    "Finished",
    "Heard",
    "LinkDown",
    "LinkUp",
    "RunnerFailed",
    "RuntimeCame",
    "Stop",
    "Tick",
    "TurnCame",
    "Unreadable",
    "UpgradeFailed",
    "UpgradeReady",
    "UpgradeShare",
]


@dataclass(frozen=True)
class LinkUp:
    """A stream to the tracker is open. Nothing was said on it yet."""


@dataclass(frozen=True)
class LinkDown:
    """The stream ended, or could not be opened."""

    #: A clause, for people.
    reason: str
    #: A random number in [0, 1). It spreads the next tries of agents that lost their tracker at one moment.
    jitter: float = 1.0


@dataclass(frozen=True)
class Heard:
    """The tracker said something."""

    message: FromTracker


@dataclass(frozen=True)
class Unreadable:
    """A trial arrived that this version of the agent cannot understand."""

    trial_id: str
    #: A clause, for people.
    reason: str


@dataclass(frozen=True)
class FilesReady:
    """The trial's files are on this board."""

    trial_id: str


@dataclass(frozen=True)
class FilesFailed:
    """The trial's files cannot be brought here, through no fault of the disk."""

    trial_id: str
    #: One sentence, for people.
    reason: str


@dataclass(frozen=True)
class DiskFailed:
    """The disk does not take what this device needs."""

    #: A clause, which the tracker hears: "its disk is full".
    fault: str
    #: The trial whose files the disk refused; "" where it was no trial's.
    trial_id: str = ""
    #: One sentence on the file that the disk refused; "" where it was none in particular.
    reason: str = ""


@dataclass(frozen=True)
class DiskMended:
    """The disk takes files again."""


@dataclass(frozen=True)
class Finished:
    """The running trial ended, with whatever outcome."""

    measurement: Measurement


@dataclass(frozen=True)
class RunnerFailed:
    """The runner cannot be started any more: this device can measure nothing."""

    #: One sentence that says what to mend.
    reason: str
    #: The device is gone, and may come back.
    device_away: bool = False


@dataclass(frozen=True)
class RuntimeCame:
    """TVM's runtime, which was on its way when this device joined, is here or will not come: the device joins again."""


@dataclass(frozen=True)
class TurnCame:
    """No other device of this board executes until the turn is passed."""


@dataclass(frozen=True)
class UpgradeShare:
    """A part of an ordered wheel is here."""

    upgrade_id: str
    #: How much of the wheel, 0..1.
    share: float


@dataclass(frozen=True)
class UpgradeReady:
    """The ordered wheel is here, whole, and chosen for the next start."""

    upgrade_id: str


@dataclass(frozen=True)
class UpgradeFailed:
    """The ordered wheel cannot be run on this board. Nothing was changed."""

    upgrade_id: str
    #: A clause, for people.
    reason: str


@dataclass(frozen=True)
class Stop:
    """Somebody wants the agent to end: SIGTERM or SIGINT came, or another device of this board ended."""

    #: A second Stop of this kind ends the session at once. False, for the end of another device: draining goes on.
    insists: bool = True


@dataclass(frozen=True)
class Tick:
    """Time passed: ``wakes_at`` is reached."""


Event = (
    LinkUp
    | LinkDown
    | Heard
    | Unreadable
    | FilesReady
    | FilesFailed
    | DiskFailed
    | DiskMended
    | Finished
    | RunnerFailed
    | RuntimeCame
    | TurnCame
    | UpgradeShare
    | UpgradeReady
    | UpgradeFailed
    | Stop
    | Tick
)
