"""What a board is and how it feels, as both sides of the wire hold it: mirrors of device.proto."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from tvm_farm.protos import quantities

__all__ = ["FIGURES", "CpuCluster", "Figure", "Fingerprint", "Machine", "RunnerInfo", "RunnerMode", "Telemetry"]


@dataclass(frozen=True)
class CpuCluster:
    """CPUs that are alike. ``part`` is the MIDR part on ARM, family/model/stepping on x86."""

    cpus: tuple[int, ...] = ()
    implementer: str = ""
    part: str = ""
    name: str = ""
    min_khz: int = 0
    max_khz: int = 0
    governor: str = ""


@dataclass(frozen=True)
class Fingerprint:
    """What a board is. Changes only with its hardware, its image or its agent."""

    arch: str = ""
    board_model: str = ""
    hostname: str = ""
    clusters: tuple[CpuCluster, ...] = ()
    cpu_features: tuple[str, ...] = ()
    memory_bytes: int = 0
    os: str = ""
    kernel: str = ""
    libc: str = ""
    python_version: str = ""
    agent_version: str = ""

    @property
    def cores(self) -> int:
        return sum(len(cluster.cpus) for cluster in self.clusters)


@dataclass(frozen=True)
class Machine:
    """What tells the machine that an agent runs on from one with the same files; a field that it lacks is empty.

    ``start_id`` is made by each start of the agent, ``boot_id`` by each boot. ``serial`` is the CPU's or the board's,
    ``macs`` are of its network adapters as they were made, sorted. ``via``: how the agent reaches the device that runs
    kernels, "" where it is this machine itself, None where an agent does not tell.
    """

    start_id: str = ""
    boot_id: str = ""
    serial: str = ""
    macs: tuple[str, ...] = ()
    via: str | None = None


class RunnerMode(str, Enum):
    """How kernels run on a board: see agent/runner."""

    FULL = "full"
    MICRO = "micro"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class RunnerInfo:
    """The program that executes kernels on a board. ``threads`` is what a parallel kernel gets.

    ``full_mode_missing``: why it is in micro mode, a clause; "" in full mode or where micro was asked for.
    """

    mode: RunnerMode
    protocol_version: int = 0
    tvm_version: str = ""
    tvm_ffi_version: str = ""
    threads: int = 0
    target_kinds: tuple[str, ...] = ()
    full_mode_missing: str = ""


@dataclass(frozen=True)
class Telemetry:
    """How a board feels at one moment. What it does not offer is None or empty, never zero. Numbers: see FIGURES.

    ``runtime_share``: of TVM's runtime, 0..1, how much is here while the rest is on its way; else None.
    ``disk_fault``: why the board's disk takes nothing, a clause: "its disk is full"; "" while it does.
    """

    at_unix_s: float = 0.0
    temperature_c: float | None = None
    frequency_khz: tuple[int, ...] = ()
    throttling: tuple[str, ...] = ()
    load_1m: float | None = None
    memory_available_bytes: int | None = None
    cpu_percent: float | None = None
    runtime_share: float | None = None
    disk_fault: str = ""


@dataclass(frozen=True)
class Figure:
    """A reading that is one number: what it may be, and how it is told."""

    #: What no board has lies outside.
    least: float
    most: float
    #: For a person: a format of the reading, or of its size in words where it counts bytes.
    words: str
    in_bytes: bool = False
    #: Of a gauge, with its unit, and what the gauge tells; "" where there is none.
    metric: str = ""
    about: str = ""

    def told(self, reading: float) -> str:
        return self.words.format(quantities.size(reading) if self.in_bytes else reading)


#: By the field of Telemetry that holds it, in the order in which they are told.
FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        # No silicon runs outside, and sensors that are broken say so by such figures.
        "temperature_c": Figure(
            -100.0, 300.0, "{:.1f} °C", metric="temperature_celsius", about="Hottest CPU or SoC sensor."
        ),
        "cpu_percent": Figure(0.0, 100.0, "CPU {:.0f} %"),
        "load_1m": Figure(0.0, math.inf, "load {:.2f}"),
        # What the store and JSON take as a number: 8 EiB.
        "memory_available_bytes": Figure(0, (1 << 63) - 1, "{} free", in_bytes=True),
    }
)
