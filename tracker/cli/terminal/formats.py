"""Numbers as people read them. Every function is pure; what is unknown prints as "—"."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence

from tvm_farm.protos import quantities
from tvm_farm.protos.device import FIGURES, Telemetry
from tvm_farm.protos.quantities import figure
from tvm_farm.tracker.domain.durations import UNKNOWN, duration

__all__ = [
    "UNKNOWN",
    "ago",
    "amount",
    "clock",
    "count",
    "duration",
    "figure",
    "gflops",
    "latency",
    "ordinal",
    "percent",
    "plural",
    "readings",
    "short_target",
    "size",
    "speedup",
]


def latency(seconds: float) -> str:
    """What a kernel or a model takes: "3.00 ns", "812 µs", "8.12 ms", "3.65 s", "16m 40s".

    Unknown for 0 and for what is no time.
    """
    if 999.5 <= seconds < math.inf:
        return duration(seconds)
    return _scaled(seconds, (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)))


def _scaled(number: float, units: Sequence[tuple[str, float]]) -> str:
    """``quantities.scaled``; unknown for 0, what is below it, infinite or no number."""
    return quantities.scaled(number, units) if 0 < number < math.inf else UNKNOWN


def speedup(before_s: float, after_s: float) -> str:
    """ "1.9x", "57.8x"; "0.04x" where it is slower by far."""
    if not (0 < before_s < math.inf and 0 < after_s < math.inf):
        return UNKNOWN
    factor = before_s / after_s
    return f"{factor:,.1f}x" if factor >= 0.95 else f"{factor:.2g}x"


def gflops(flops: float, seconds: float) -> str:
    """Billions of operations a second: "155", "0.00123"."""
    known = 0 < flops < math.inf and 0 < seconds < math.inf
    return figure(flops / seconds / 1e9) if known else UNKNOWN


def ordinal(number: int) -> str:
    """ "1st", "2nd", "3rd", "11th"."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number // 10 % 10 == 1 else endings.get(number % 10, 'th')}"


def ago(unix_s: float, now_s: float) -> str:
    """ "now", "12s ago", "3h 20m ago"; unknown for 0."""
    if not 0 < unix_s < math.inf:
        return UNKNOWN
    return "now" if now_s - unix_s < 1 else f"{duration(now_s - unix_s)} ago"


def clock(unix_s: float) -> str:
    """Local date and time: "2026-01-31 14:05:09"; unknown for 0 and for what no calendar has."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s)) if unix_s > 0 else UNKNOWN
    except (OverflowError, ValueError, OSError):
        return UNKNOWN


def amount(number: float) -> str:
    """A count by its size: "812", "41.0 k", "1.82 M", "3.65 G"; unknown for 0."""
    if 0 < number < 999.5:
        return f"{number:.3g}"
    return _scaled(number, (("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("P", 1e15)))


def size(count_bytes: int) -> str:
    """ "812 B", "80.9 KiB", "9.41 MiB", "2.30 GiB"; unknown for 0."""
    return quantities.size(count_bytes) if count_bytes > 0 else UNKNOWN


def percent(share: float) -> str:
    """``share`` in 0..1: "87 %"; "<1 %" is more than nothing."""
    if not math.isfinite(share):
        return UNKNOWN
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def readings(told: Telemetry) -> list[str]:
    """How a board feels, a word or two each."""
    known = [(each, getattr(told, name)) for name, each in FIGURES.items()]
    parts = [each.told(reading) for each, reading in known if reading is not None]
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
