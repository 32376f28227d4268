"""The telemetry of a board, from /sys and /proc. What a board does not offer is absent, never zero."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Collection, Sequence
from pathlib import Path

from tvm_farm.agent.clock import steady_unix_s
from tvm_farm.protos.device import CpuCluster, Telemetry

__all__ = ["TelemetryReader"]

# Bits of the Raspberry Pi firmware's get_throttled: raspberrypi.com/documentation/computers/os.html#get_throttled
_PI_NOW = {0: "under-voltage", 1: "frequency-capped", 2: "throttled", 3: "soft-temperature-limit"}
# The same bits 16 places higher tell what has been since somebody cleared them. The driver of the chip below does so
# whenever it renews the file: where it is at work, they tell of the last 2 s, and else of all time since boot.
# What a mainline kernel offers in its place is the alarm of the chip rpi_volt: drivers/hwmon/raspberrypi-hwmon.c
# The firmware's node lies at soc/soc:firmware up to the Pi 4, at soc@107c000000/soc@107c000000:firmware on the Pi 5.
_PI_THROTTLED = "devices/platform/soc*/soc*:firmware/get_throttled"

# Names of thermal zones and hwmon chips that measure a CPU or the chip around it; other sensors
# (battery, Wi-Fi, disk) say nothing about a kernel's time.
_CPU_ZONE = re.compile(r"cpu|soc|x86_pkg_temp|package|big|little|core|cluster", re.IGNORECASE)
_CPU_CHIPS = frozenset({"coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "scpi_sensors"})


class TelemetryReader:
    """Reads the sensors of the CPUs in ``clusters``. ``sys`` and ``proc`` are roots, for tests and containers.

    The sensors are looked for once, here; a sensor whose driver comes later is not seen. Every measurement has two
    readings, so a reading starts no process and opens no file.
    """

    def __init__(
        self, clusters: Sequence[CpuCluster] = (), *, sys: Path = Path("/sys"), proc: Path = Path("/proc")
    ) -> None:
        cpus = sys / "devices/system/cpu"
        self._temperatures = [_File(path) for path in _temperature_paths(sys)]
        self._clocks = [_File(cpus / f"cpu{c.cpus[0]}/cpufreq/scaling_cur_freq") for c in clusters]
        self._pi_throttled = [_File(path) for path in sorted(sys.glob(_PI_THROTTLED))]
        self._pi_alarms = [_File(chip / "in0_lcrit_alarm") for chip in _chips(sys, {"rpi_volt"})]
        self._throttle_counters = [
            _File(cpus / f"cpu{cpu}/thermal_throttle/{name}")
            for cluster in clusters
            for cpu in cluster.cpus
            for name in ("core_throttle_count", "package_throttle_count")
        ]
        self._stat, self._loadavg, self._meminfo = (_File(proc / name) for name in ("stat", "loadavg", "meminfo"))
        self._cpu_times = self._read_cpu_times()
        self._throttle_count = self._read_throttle_count()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that a reading reads, of those that this board offers."""
        single = (self._stat, self._loadavg, self._meminfo)
        several = (self._temperatures, self._clocks, self._pi_throttled, self._pi_alarms, self._throttle_counters)
        every = [*single, *(file for group in several for file in group)]
        return tuple(file.path for file in every if file.path is not None)

    def read(self) -> Telemetry:
        """The sensors now. ``cpu_percent`` and throttling counters are since the reading before."""
        return Telemetry(
            at_unix_s=steady_unix_s(),
            temperature_c=self._temperature_c(),
            frequency_khz=self._frequency_khz(),
            throttling=self._throttling(),
            load_1m=self._load(),
            memory_available_bytes=self._memory_available(),
            cpu_percent=self._cpu_percent(),
        )

    def _temperature_c(self) -> float | None:
        """The hottest sensor. Sensors that are off say 0 or nonsense; all speak in millidegrees."""
        values = [value for file in self._temperatures if (value := file.number()) is not None]
        sane = [value / 1000 for value in values if 0 < value < 150_000]
        return max(sane) if sane else None

    def _frequency_khz(self) -> tuple[int, ...]:
        """The clock of each cluster, by its first CPU; empty unless every cluster tells."""
        clocks = [file.number() or 0 for file in self._clocks]
        return tuple(clocks) if all(clocks) else ()

    def _throttling(self) -> tuple[str, ...]:
        flags = next((file.number(base=16) for file in self._pi_throttled), None) or 0
        if self._pi_clears():
            flags |= flags >> 16
        reasons = [name for bit, name in _PI_NOW.items() if flags >> bit & 1]
        if any(alarm.number() for alarm in self._pi_alarms):
            reasons.append("under-voltage")
        before, self._throttle_count = self._throttle_count, self._read_throttle_count()
        if self._throttle_count > before:
            reasons.append("throttled")
        return tuple(dict.fromkeys(reasons))

    @property
    def pi_tells(self) -> tuple[str, ...]:
        """The reasons for throttling that the kernel of a Raspberry Pi tells of; none on other boards."""
        if any(file.number(base=16) is not None for file in self._pi_throttled):
            return tuple(_PI_NOW.values())
        return ("under-voltage",) if self._pi_clears() else ()

    def _pi_clears(self) -> bool:
        return any(alarm.number() is not None for alarm in self._pi_alarms)

    def _read_throttle_count(self) -> int:
        return sum(file.number() or 0 for file in self._throttle_counters)

    def _cpu_percent(self) -> float | None:
        before, self._cpu_times = self._cpu_times, self._read_cpu_times()
        if before is None or self._cpu_times is None or self._cpu_times[1] <= before[1]:
            return None
        return 100.0 * (self._cpu_times[0] - before[0]) / (self._cpu_times[1] - before[1])

    def _read_cpu_times(self) -> tuple[int, int] | None:
        """Jiffies (busy, all) of all CPUs since boot. Guest time is part of user time: proc(5)."""
        fields = self._stat.text().partition("\n")[0].split()
        if len(fields) < 9 or fields[0] != "cpu":
            return None
        times = [int(field) for field in fields[1:9]]
        total = sum(times)
        return total - times[3] - times[4], total

    def _load(self) -> float | None:
        fields = self._loadavg.text().split()
        return float(fields[0]) if fields else None

    def _memory_available(self) -> int | None:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", self._meminfo.text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None


class _File:
    """A file of /sys or /proc, kept open: the kernel makes its text anew for every read from the start."""

    def __init__(self, path: Path) -> None:
        self._handle: int | None
        self.path: Path | None = path
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # this board does not offer it
            self._handle = self.path = None
        else:
            weakref.finalize(self, os.close, self._handle)

    def text(self) -> str:
        """The text now; "" where the file is absent or the sensor behind it does not answer."""
        try:
            return os.pread(self._handle, 4096, 0).decode(errors="replace") if self._handle is not None else ""
        except OSError:
            return ""

    def number(self, base: int = 10) -> int | None:
        try:
            return int(self.text(), base)
        except ValueError:
            return None


def _temperature_paths(sys: Path) -> list[Path]:
    zones = sorted((sys / "class/thermal").glob("thermal_zone*"))
    paths = [zone / "temp" for zone in zones if _CPU_ZONE.search(_File(zone / "type").text())]
    for chip in _chips(sys, _CPU_CHIPS):
        paths += sorted(chip.glob("temp*_input"))
    return paths


def _chips(sys: Path, names: Collection[str]) -> list[Path]:
    """hwmon chips of these names."""
    chips = sorted((sys / "class/hwmon").glob("hwmon*"))
    return [chip for chip in chips if _File(chip / "name").text().strip() in names]
