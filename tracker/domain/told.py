"""What a board says of itself, cut to what can be kept and shown."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

from protos.device import Fingerprint, Telemetry

__all__ = ["clause", "sane_fingerprint", "sane_telemetry"]

#: Characters of one text, and parts of one list: a board of today tells of 64 of them at most.
_LONGEST, _MOST = 400, 1024


def clause(text: str) -> str:
    """``text`` as one line of at most 400 characters."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:_LONGEST])


def sane_telemetry(told: Telemetry) -> Telemetry:
    """Without numbers that are none, and texts of one line each; a share is one of 0 to 1."""
    share = told.runtime_share
    return replace(
        told,
        at_unix_s=told.at_unix_s if math.isfinite(told.at_unix_s) else 0.0,
        temperature_c=_finite(told.temperature_c),
        frequency_khz=told.frequency_khz[:_MOST],
        throttling=tuple(clause(each) for each in told.throttling[:_MOST]),
        load_1m=_finite(told.load_1m),
        cpu_percent=_finite(told.cpu_percent),
        runtime_share=share if share is not None and 0 <= share <= 1 else None,
        disk_fault=clause(told.disk_fault),
    )


def sane_fingerprint(told: Fingerprint) -> Fingerprint:
    """Its texts of one line each."""
    texts: dict[str, Any] = {
        each.name: clause(value) for each in fields(told) if isinstance(value := getattr(told, each.name), str)
    }
    return replace(told, **texts, cpu_features=tuple(clause(each) for each in told.cpu_features[:_MOST]))


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
