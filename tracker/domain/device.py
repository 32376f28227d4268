"""A board in the farm: its description and what it is doing now."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from tvm_farm.protos.device import Fingerprint, Machine, RunnerInfo, Telemetry
from tvm_farm.protos.upgrade import AgentCode, Upgrade
from tvm_farm.tracker.domain.device_orders import Drain, Lease

__all__ = ["Clone", "Device", "DeviceState"]


class DeviceState(str, Enum):
    """What a device is doing. LOST: not heard from; what it held was given to others."""

    IDLE = "idle"
    MEASURING = "measuring"
    DRAINING = "draining"
    LOST = "lost"


@dataclass(frozen=True)
class Clone:
    """Another machine that says it is a device, and when it last asked to join."""

    machine: Machine
    hostname: str = ""
    seen_unix_s: float = 0.0


@dataclass(frozen=True)
class Device:
    """One board with its present state. ``stopped``: it is lost, and its agent said before that it would go.

    ``utilisation`` is the share of the last minute spent executing, 0..1.

    ``lease`` and ``drain``: what people ordered of it; ``hand_labels``: those of ``labels`` that they set. ``ailing``:
    why others of its class come before it, or it is in quarantine; "" where it is well. ``machine``:
    the one that was last connected as it; ``clone``: one that goes by its id too, and is refused for that.
    ``shares_cpus_with``: names of connected devices whose agents measure on its CPUs, too; told, not kept.
    ``code``: which of the agent's it runs, None where that is too old to be upgraded by the farm; ``upgrade``: ordered,
    on its way, or failed.
    """

    id: str
    name: str
    fingerprint: Fingerprint
    runner: RunnerInfo
    labels: dict[str, str] = field(default_factory=dict)
    pools: tuple[str, ...] = ()
    device_class: str = ""
    target: str = ""
    target_origin: str = ""
    state: DeviceState = DeviceState.LOST
    joined_unix_s: float = 0.0
    last_heard_unix_s: float = 0.0
    stopped: bool = False
    telemetry: Telemetry | None = None
    held: int = 0
    measured: int = 0
    utilisation: float = 0.0
    lease: Lease | None = None
    drain: Drain | None = None
    hand_labels: dict[str, str] = field(default_factory=dict)
    ailing: str = ""
    code: AgentCode | None = None
    upgrade: Upgrade | None = None
    machine: Machine | None = None
    clone: Clone | None = None
    shares_cpus_with: tuple[str, ...] = ()

    @property
    def takes_trials(self) -> bool:
        """Whether it is there, nobody drains it, and its disk takes what a trial brings."""
        there = self.state in (DeviceState.IDLE, DeviceState.MEASURING)
        return there and not (self.telemetry and self.telemetry.disk_fault)

    def open_to(self, user: str) -> bool:
        """Whether no lease keeps it from the work of ``user``."""
        return self.lease is None or self.lease.user == user
