"""What an agent can be told to do: the outputs of agent.session, carried out by agent.board."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.agent.messages import FromAgent
from tvm_farm.protos.measurement import MeasureRequest
from tvm_farm.protos.upgrade import Upgrade

__all__ = [
    "AskTurn",
    "BringUpgrade",
    "CancelRun",
    "Connect",
    "Disconnect",
    "DropUpgrade",
    "Effect",
    "Exit",
    "Fetch",
    "PassTurn",
    "Release",
    "Say",
    "Send",
    "SendHeartbeat",
    "SendJoin",
    "Settle",
    "StartRun",
]


@dataclass(frozen=True)
class Connect:
    """Find the tracker and open a stream, ``after_s`` seconds from now."""

    after_s: float


@dataclass(frozen=True)
class Disconnect:
    """Drop the stream; a LinkDown follows."""

    reason: str


@dataclass(frozen=True)
class SendJoin:
    """The board knows what it is."""


@dataclass(frozen=True)
class SendHeartbeat:
    """The board knows how it feels."""


@dataclass(frozen=True)
class Send:
    """``patient``: it may wait a moment for others to leave with."""

    message: FromAgent
    patient: bool = False


@dataclass(frozen=True)
class Fetch:
    """Bring the trial's files here and keep them until Release; answers FilesReady or FilesFailed."""

    request: MeasureRequest


@dataclass(frozen=True)
class Release:
    """The trial's files are not needed for it any more; a fetch under way may stop."""

    trial_id: str


@dataclass(frozen=True)
class StartRun:
    """Answers Finished, or RunnerFailed."""

    request: MeasureRequest


@dataclass(frozen=True)
class AskTurn:
    """Another device of this board may be executing: TurnCame follows when none is."""


@dataclass(frozen=True)
class PassTurn:
    """The others may execute: this device has nothing to run, or ran one trial."""


@dataclass(frozen=True)
class CancelRun:
    """The kernel at hand is to end now; Finished follows."""


@dataclass(frozen=True)
class BringUpgrade:
    """Bring the wheel here and choose it for the next start; answers UpgradeReady or UpgradeFailed."""

    upgrade: Upgrade


@dataclass(frozen=True)
class DropUpgrade:
    """Nothing more is to be brought. One that is chosen already is ready all the same."""


@dataclass(frozen=True)
class Settle:
    """A tracker accepted the Join of the code that runs: an upgrade to it stands."""


@dataclass(frozen=True)
class Say:
    """A line for the person who reads the log. ``level`` is a name of the logging module."""

    level: str
    text: str


@dataclass(frozen=True)
class Exit:
    """The agent ends. ``reason`` empty: as asked. ``device_away``: until its device is back. ``restart``: in order to
    start again, with the code that is chosen then."""

    code: int
    reason: str = ""
    device_away: bool = False
    restart: bool = False


Effect = (
    Connect
    | Disconnect
    | SendJoin
    | SendHeartbeat
    | Send
    | Fetch
    | Release
    | StartRun
    | AskTurn
    | PassTurn
    | CancelRun
    | BringUpgrade
    | DropUpgrade
    | Settle
    | Say
    | Exit
)
