"""Latencies as commands print them."""

from __future__ import annotations

__all__ = ["LATENCY", "seconds"]

#: For re: "812 µs", "3.65 s".
LATENCY = r"[\d.,]+ (?:ns|µs|ms|s)"
_UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


def seconds(text: str) -> float:
    number, unit = text.replace(",", "").split()
    return float(number) * _UNITS[unit]
