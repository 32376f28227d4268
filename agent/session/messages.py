"""What agent and tracker tell each other on the Fleet stream, as plain values: a class a message of fleet.proto.

Join, Measurement, MeasureRequest and Upgrade travel on the same stream; both sides hold them, so they are in protos.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_farm.protos.device import Telemetry
from tvm_farm.protos.join import Join
from tvm_farm.protos.measurement import Measurement, MeasureRequest
from tvm_farm.protos.upgrade import Upgrade

__all__ = [
    "Acknowledged",
    "CancelTrials",
    "Draining",
    "FromAgent",
    "FromTracker",
    "GiveBack",
    "Heartbeat",
    "Joined",
    "Refused",
    "Started",
]


@dataclass(frozen=True)
class Heartbeat:
    """The agent is there, and so its device feels."""

    telemetry: Telemetry | None = None


@dataclass(frozen=True)
class Started:
    """The device executes the trial from now on."""

    trial_id: str


@dataclass(frozen=True)
class GiveBack:
    """The device does not run these trials: the tracker places them again."""

    trial_ids: tuple[str, ...]
    #: One clause, for people.
    reason: str


@dataclass(frozen=True)
class Draining:
    """The device takes no new work."""


@dataclass(frozen=True)
class Joined:
    """The tracker takes the device in. Every field is what the tracker says of the device's place in the farm."""

    farm: str = ""
    tracker_version: str = ""
    #: Seconds from one heartbeat to the next; 0: the tracker leaves it to the agent.
    heartbeat_s: float = 0.0
    device_class: str = ""
    target: str = ""
    pools: tuple[str, ...] = field(default=())
    #: What whoever minds the board should know, one sentence; "": nothing.
    warning: str = ""


@dataclass(frozen=True)
class Refused:
    """The tracker does not take the device in."""

    #: One sentence that says which side to change.
    reason: str = ""
    #: Seconds after which to join again, where the cause passes by itself; 0: the refusal is for good.
    retry_after_s: float = 0.0


@dataclass(frozen=True)
class CancelTrials:
    """Nobody wants the results of these trials any more. No answer is expected."""

    trial_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Acknowledged:
    """The tracker is done with these measurements: the agent may forget them. Empty: the answer to a heartbeat."""

    trial_ids: tuple[str, ...] = ()


FromAgent = Join | Heartbeat | Measurement | Started | GiveBack | Draining | Upgrade
FromTracker = Joined | Refused | MeasureRequest | CancelTrials | Acknowledged | Upgrade
