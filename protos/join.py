"""What an agent says of itself first, as both sides of the wire hold it: a mirror of fleet.proto's Join."""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_farm.protos.device import Fingerprint, Machine, RunnerInfo, Telemetry
from tvm_farm.protos.upgrade import AgentCode

__all__ = ["Join"]


@dataclass(frozen=True)
class Join:
    """A device that asks to be of the farm."""

    #: The agent's PROTOCOL_VERSION.
    protocol_version: int
    #: The id that the device keeps for life.
    device_id: str
    #: The name that a person gave the device, or its host name.
    name: str
    fingerprint: Fingerprint
    runner: RunnerInfo
    #: Labels for pools to select by.
    labels: dict[str, str] = field(default_factory=dict)
    #: Trials that the device holds at once: the one running and those prefetched.
    slots: int = 1
    telemetry: Telemetry | None = None
    #: The same while trials take milliseconds; 0: as ``slots``.
    short_slots: int = 0
    #: Which of the agent's code runs; None: an agent that knows no upgrades and must not be sent one.
    code: AgentCode | None = None
    machine: Machine | None = None
