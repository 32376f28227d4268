"""How long people wait, in words."""

from __future__ import annotations

import math

__all__ = ["UNKNOWN", "duration"]

#: In place of a figure that nobody has.
UNKNOWN = "—"


def duration(seconds: float) -> str:
    """ "45s", "2m 05s", "1h 02m", "3d 04h"; unknown where it is no number. Never negative."""
    if not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86400:,}d {whole % 86400 // 3600:02}h"
