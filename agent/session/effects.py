"""The outputs of the session's state machine: orders that the driver carries out."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.agent.session.messages import FromAgent
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
    """Find the tracker and open a stream to it. A LinkUp or a LinkDown follows."""

    #: Seconds to wait first.
    after_s: float


@dataclass(frozen=True)
class Disconnect:
    """Drop the stream. A LinkDown with ``reason`` follows."""

    reason: str


@dataclass(frozen=True)
class SendJoin:
    """Send the device's Join, which the driver has. The session does not know what the device is."""


@dataclass(frozen=True)
class SendHeartbeat:
    """Send a heartbeat with the device's telemetry, which the driver reads."""


@dataclass(frozen=True)
class Send:
    """Send ``message`` on the stream; without a stream the message is dropped."""

    message: FromAgent
    #: The message may wait a moment for others to leave with.
    patient: bool = False


@dataclass(frozen=True)
class Fetch:
    """Bring the trial's files here and keep them until Release. FilesReady, FilesFailed or DiskFailed follows."""

    request: MeasureRequest


@dataclass(frozen=True)
class Release:
    """Let go of the files of ``trial_id``. A fetch of them that is under way may stop."""

    trial_id: str


@dataclass(frozen=True)
class StartRun:
    """Execute the trial, whose files are here. Finished or RunnerFailed follows."""

    request: MeasureRequest


@dataclass(frozen=True)
class AskTurn:
    """Ask to be the one device of this board that executes. TurnCame follows once no other does."""


@dataclass(frozen=True)
class PassTurn:
    """Let the board's other devices execute: this one ran a trial, or has none to run."""


@dataclass(frozen=True)
class CancelRun:
    """End the running kernel now. Finished follows."""


@dataclass(frozen=True)
class BringUpgrade:
    """Bring the upgrade's wheel here and choose it for the next start. UpgradeReady or UpgradeFailed follows."""

    upgrade: Upgrade


@dataclass(frozen=True)
class DropUpgrade:
    """Stop bringing the upgrade. An upgrade that is chosen already stays chosen: UpgradeReady follows all the same."""


@dataclass(frozen=True)
class Settle:
    """Keep the code that runs: a tracker accepted its Join, so the upgrade to it stands."""


@dataclass(frozen=True)
class Say:
    """Write a line for the person who reads the log."""

    #: A name of the logging module: "WARNING".
    level: str
    text: str


@dataclass(frozen=True)
class Exit:
    """End the agent. Always the last effect of a session."""

    #: The exit code of the process: see agent.errors.
    code: int
    #: One sentence that says why; "": somebody asked for it.
    reason: str = ""
    #: The device is gone, and may come back: the agent looks for the device, and begins again.
    device_away: bool = False
    #: The process starts the agent again, with the code that is chosen then.
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
