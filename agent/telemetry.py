"""How the board feels now, from /sys and /proc. What a board does not offer is absent, never zero."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

from protos.device import CpuCluster, Telemetry

__all__ = ["TelemetryReader", "read_frequency_khz", "read_temperature_c"]

# Bits of the Raspberry Pi firmware's get_throttled: raspberrypi.com/documentation/computers/os.html#get_throttled
_PI_NOW = {0: "under-voltage", 1: "frequency-capped", 2: "throttled", 3: "soft-temperature-limit"}
_PI_THROTTLED = "devices/platform/soc/soc:firmware/get_throttled"

# Names of thermal zones and hwmon chips that measure a CPU or the chip around it; other sensors
# (battery, Wi-Fi, disk) say nothing about a kernel's time.
_CPU_ZONE = re.compile(r"cpu|soc|x86_pkg_temp|package|big|little|core|cluster", re.IGNORECASE)
_CPU_CHIPS = frozenset({"coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "scpi_sensors"})


class TelemetryReader:
    """Reads the sensors of the CPUs in ``clusters``. ``sys`` and ``proc`` are roots, for tests and containers.

    Reading takes well under a millisecond and starts no process.
    """

    def __init__(
        self, clusters: Sequence[CpuCluster] = (), *, sys: Path = Path("/sys"), proc: Path = Path("/proc")
    ) -> None:
        self._clusters = tuple(clusters)
        self._sys = sys
        self._proc = proc
        self._busy_total: tuple[int, int] | None = _cpu_times(proc)
        self._throttle_counts = self._read_throttle_counts()

    def read(self) -> Telemetry:
        """The sensors now; cpu_percent and throttling counters since the reading before."""
        return Telemetry(
            at_unix_s=time.time(),
            temperature_c=read_temperature_c(self._sys),
            frequency_khz=read_frequency_khz(self._clusters, self._sys),
            throttling=self._throttling(),
            load_1m=_load(self._proc),
            memory_available_bytes=_memory_available(self._proc),
            cpu_percent=self._cpu_percent(),
        )

    def _throttling(self) -> tuple[str, ...]:
        flags = _number(self._sys / _PI_THROTTLED, base=16)
        reasons = [] if flags is None else [name for bit, name in _PI_NOW.items() if flags >> bit & 1]
        for chip in (self._sys / "class/hwmon").glob("hwmon*"):
            # What a mainline kernel offers in place of get_throttled: drivers/hwmon/raspberrypi-hwmon.c
            if _text(chip / "name") == "rpi_volt" and _number(chip / "in0_lcrit_alarm"):
                reasons.append("under-voltage")
        counts, self._throttle_counts = self._throttle_counts, self._read_throttle_counts()
        if any(now > counts.get(path, now) for path, now in self._throttle_counts.items()):
            reasons.append("throttled")
        return tuple(dict.fromkeys(reasons))

    def _read_throttle_counts(self) -> dict[Path, int]:
        cpus = [cpu for cluster in self._clusters for cpu in cluster.cpus]
        paths = [
            self._sys / f"devices/system/cpu/cpu{cpu}/thermal_throttle/{name}"
            for cpu in cpus
            for name in ("core_throttle_count", "package_throttle_count")
        ]
        return {path: count for path in paths if (count := _number(path)) is not None}

    def _cpu_percent(self) -> float | None:
        earlier, self._busy_total = self._busy_total, _cpu_times(self._proc)
        if earlier is None or self._busy_total is None or self._busy_total[1] <= earlier[1]:
            return None
        return 100.0 * (self._busy_total[0] - earlier[0]) / (self._busy_total[1] - earlier[1])


def read_temperature_c(sys: Path = Path("/sys")) -> float | None:
    """The hottest CPU or SoC sensor in degrees Celsius: thermal zones, else hwmon chips."""
    heat: list[int] = []
    for zone in sorted((sys / "class/thermal").glob("thermal_zone*")):
        if _CPU_ZONE.search(_text(zone / "type")) and (value := _number(zone / "temp")) is not None:
            heat.append(value)
    for chip in sorted((sys / "class/hwmon").glob("hwmon*")):
        if _text(chip / "name") in _CPU_CHIPS:
            heat += [value for path in chip.glob("temp*_input") if (value := _number(path)) is not None]
    # Sensors that are off report 0 or below absolute sense; both are in millidegrees.
    sane = [value / 1000 for value in heat if 0 < value < 150_000]
    return max(sane) if sane else None


def read_frequency_khz(clusters: Sequence[CpuCluster], sys: Path = Path("/sys")) -> tuple[int, ...]:
    """The present clock of each cluster by its first CPU; empty unless every cluster tells."""
    clocks = []
    for cluster in clusters:
        clock = _number(sys / f"devices/system/cpu/cpu{cluster.cpus[0]}/cpufreq/scaling_cur_freq")
        if not clock:
            return ()
        clocks.append(clock)
    return tuple(clocks)


def _cpu_times(proc: Path) -> tuple[int, int] | None:
    """Jiffies (busy, all) of all CPUs since boot. Guest time is part of user time: proc(5)."""
    fields = _text(proc / "stat").partition("\n")[0].split()
    if len(fields) < 6 or fields[0] != "cpu":
        return None
    times = [int(field) for field in fields[1:9]]
    total = sum(times)
    return total - times[3] - times[4], total


def _load(proc: Path) -> float | None:
    fields = _text(proc / "loadavg").split()
    return float(fields[0]) if fields else None


def _memory_available(proc: Path) -> int | None:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(proc / "meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _number(path: Path, base: int = 10) -> int | None:
    try:
        return int(_text(path), base)
    except ValueError:
        return None


def _text(path: Path) -> str:
    """A file's text, "" where it is absent or a sensor behind it does not answer."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""
