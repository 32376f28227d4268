"""What agent and tracker tell each other on the Fleet stream, as plain values: mirrors of fleet.proto.

A Measurement, a MeasureRequest and an Upgrade travel on the same stream; they live in protos.measurement and .upgrade.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_farm.protos.device import Fingerprint, Machine, RunnerInfo, Telemetry
from tvm_farm.protos.measurement import Measurement, MeasureRequest
from tvm_farm.protos.upgrade import AgentCode, Upgrade

__all__ = [
    "Acknowledged",
    "CancelTrials",
    "Draining",
    "FromAgent",
    "FromTracker",
    "GiveBack",
    "Heartbeat",
    "Join",
    "Joined",
    "Refused",
    "Started",
]


@dataclass(frozen=True)
class Join:
    """``slots``: trials that it holds at once; ``short_slots``: while they are short; 0: no more than ``slots``.

    ``code``: which of the agent's code runs; None where it knows of no other.
    """

    protocol_version: int
    device_id: str
    name: str
    fingerprint: Fingerprint
    runner: RunnerInfo
    labels: dict[str, str]
    slots: int
    telemetry: Telemetry | None = None
    short_slots: int = 0
    code: AgentCode | None = None
    machine: Machine | None = None


@dataclass(frozen=True)
class Heartbeat:
    telemetry: Telemetry | None = None


@dataclass(frozen=True)
class Started:
    trial_id: str


@dataclass(frozen=True)
class GiveBack:
    """Not run here: the tracker places them again."""

    trial_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Draining:
    """This device takes no new work."""


@dataclass(frozen=True)
class Joined:
    farm: str = ""
    tracker_version: str = ""
    heartbeat_s: float = 0.0
    device_class: str = ""
    target: str = ""
    pools: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Refused:
    """``retry_after_s`` 0: for good."""

    reason: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True)
class CancelTrials:
    """No answer is expected."""

    trial_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Acknowledged:
    """The tracker is done with these measurements: they may be forgotten. Without any: it heard a heartbeat."""

    trial_ids: tuple[str, ...] = ()


FromAgent = Join | Heartbeat | Measurement | Started | GiveBack | Draining | Upgrade
FromTracker = Joined | Refused | MeasureRequest | CancelTrials | Acknowledged | Upgrade
