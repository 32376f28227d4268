"""What can happen to an agent: the inputs of agent.session."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.agent.messages import FromTracker
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
    """A stream to the tracker is open; nothing was said on it yet."""


@dataclass(frozen=True)
class LinkDown:
    """The stream ended or could not be opened. ``jitter`` in [0, 1) spreads agents that fell together."""

    reason: str
    jitter: float = 1.0


@dataclass(frozen=True)
class Heard:
    message: FromTracker


@dataclass(frozen=True)
class Unreadable:
    """A trial arrived that this version of the agent cannot understand."""

    trial_id: str
    reason: str


@dataclass(frozen=True)
class FilesReady:
    trial_id: str


@dataclass(frozen=True)
class FilesFailed:
    trial_id: str
    reason: str


@dataclass(frozen=True)
class DiskFailed:
    """The disk does not take what this device needs: ``fault``, a clause.

    ``trial_id`` and ``reason``: which trial's files it was; "" where none's.
    """

    fault: str
    trial_id: str = ""
    reason: str = ""


@dataclass(frozen=True)
class DiskMended:
    """It takes files again."""


@dataclass(frozen=True)
class Finished:
    """The running trial ended, with whatever outcome."""

    measurement: Measurement


@dataclass(frozen=True)
class RunnerFailed:
    """The runner cannot be started any more: this board can measure nothing.

    ``device_away``: because the device that it runs on is gone, which may change.
    """

    reason: str
    device_away: bool = False


@dataclass(frozen=True)
class RuntimeCame:
    """TVM's runtime, which was on its way when this device joined, is here or will not come: it joins again."""


@dataclass(frozen=True)
class TurnCame:
    """No other device of this board executes until the turn is passed."""


@dataclass(frozen=True)
class UpgradeShare:
    """How much of an ordered wheel is here, 0..1."""

    upgrade_id: str
    share: float


@dataclass(frozen=True)
class UpgradeReady:
    """The wheel is here, whole, and chosen for the next start."""

    upgrade_id: str


@dataclass(frozen=True)
class UpgradeFailed:
    """It cannot be run on this board, and nothing was changed."""

    upgrade_id: str
    reason: str


@dataclass(frozen=True)
class Stop:
    """SIGTERM or SIGINT; with ``insists`` False another device of this board ended, and this one may go on draining."""

    insists: bool = True


@dataclass(frozen=True)
class Tick:
    """Time passed: due at ``wakes_at``."""


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
