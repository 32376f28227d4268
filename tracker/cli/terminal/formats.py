"""Numbers as people read them. Every function is pure; what is unknown prints as "—"."""

from __future__ import annotations

import json
import math
import time

from tvm_farm.protos.device import FIGURES, Telemetry

__all__ = [
    "UNKNOWN",
    "ago",
    "amount",
    "clock",
    "count",
    "duration",
    "gflops",
    "gib",
    "latency",
    "milliseconds",
    "ordinal",
    "percent",
    "plural",
    "readings",
    "short_target",
    "size",
    "speedup",
]

UNKNOWN = "—"


def latency(seconds: float) -> str:
    """ "812.3 µs", "8.12 ms", "241.3 ms", "3.65 s"; unknown for 0."""
    if seconds <= 0:
        return UNKNOWN
    for unit, scale in (("µs", 1e6), ("ms", 1e3)):
        value = seconds * scale
        if value < 999.95:
            return f"{value:.2f} {unit}" if value < 9.995 else f"{value:.1f} {unit}"
    return f"{seconds:.2f} s"


def milliseconds(seconds: float) -> str:
    """The closing line's unit is always ms, so that two of them compare at a glance: "241.3 ms"."""
    value = seconds * 1e3
    if value >= 1:
        return f"{value:.1f} ms"
    decimals = max(3, 2 - math.floor(math.log10(value))) if value > 0 else 3  # three digits that say something
    return f"{value:.{decimals}f} ms"


def speedup(before_s: float, after_s: float) -> str:
    return f"{before_s / after_s:.1f}x" if before_s > 0 and after_s > 0 else UNKNOWN


def gflops(flops: float, seconds: float) -> str:
    """Billions of operations a second: "155.2"."""
    return f"{flops / seconds / 1e9:,.1f}" if flops > 0 and seconds > 0 else UNKNOWN


def ordinal(number: int) -> str:
    """ "1st", "2nd", "3rd", "11th"."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number // 10 % 10 == 1 else endings.get(number % 10, 'th')}"


def duration(seconds: float) -> str:
    """ "45s", "2m 05s", "1h 02m", "3d 04h"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02}h"


def ago(unix_s: float, now_s: float) -> str:
    """ "now", "12s ago", "3h 20m ago"; unknown for 0."""
    if unix_s <= 0:
        return UNKNOWN
    return "now" if now_s - unix_s < 1 else f"{duration(now_s - unix_s)} ago"


def clock(unix_s: float) -> str:
    """Local date and time: "2026-01-31 14:05:09"."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s)) if unix_s > 0 else UNKNOWN


def amount(number: float) -> str:
    """A count by its size: "812", "40.9 k", "1.82 M", "3.65 G"; unknown for 0."""
    if number <= 0:
        return UNKNOWN
    for unit, scale in (("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9)):
        value = number / scale
        if value < 999.5:
            return f"{value:.3g} {unit}".rstrip() if value < 99.95 else f"{value:.0f} {unit}".rstrip()
    return f"{number / 1e12:,.2f} T"


def size(count_bytes: int) -> str:
    """ "812 B", "80.9 KiB", "9.41 MiB", "2.30 GiB"; unknown for 0."""
    if count_bytes <= 0:
        return UNKNOWN
    if count_bytes < 1000:
        return f"{count_bytes} B"
    for unit, scale in (("KiB", 1 << 10), ("MiB", 1 << 20)):
        value = count_bytes / scale
        if value < 999.5:
            return f"{value:.2f} {unit}" if value < 9.995 else f"{value:.1f} {unit}"
    return f"{count_bytes / (1 << 30):.2f} GiB"


def percent(share: float) -> str:
    """``share`` in 0..1: "87 %"."""
    return f"{share * 100:.0f} %"


def gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size else UNKNOWN


def readings(told: Telemetry) -> list[str]:
    """How a board feels, a word or two each."""
    figures = [(figure, getattr(told, name)) for name, figure in FIGURES.items()]
    parts = [figure.told(reading) for figure, reading in figures if reading is not None]
    parts += [" ".join(f"{khz / 1e6:.2f}" for khz in told.frequency_khz) + " GHz"] if told.frequency_khz else []
    return [*parts, f"throttled: {', '.join(told.throttling)}"] if told.throttling else parts


def count(number: int) -> str:
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """ "1 device", "2 devices"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def short_target(target: str) -> str:
    """A TVM target's JSON in a few words: "llvm cortex-a72". Text that is no JSON object comes back as it is."""
    try:
        fields = json.loads(target)
        return " ".join(str(fields[key]) for key in ("kind", "mcpu") if key in fields) or target
    except (ValueError, TypeError):
        return target or UNKNOWN
