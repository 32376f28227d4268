"""The time by which a board tells when something happened: it goes on evenly, whatever sets the board's clock."""

from __future__ import annotations

import time

__all__ = ["steady_unix_s"]

_BEGUN_S = time.time() - time.monotonic()


def steady_unix_s(monotonic_s: float | None = None) -> float:
    """Unix seconds as this process believed them when it began, counted on by the monotonic clock.

    A board without a battery begins months behind and jumps when NTP answers. Each message says by the same clock when
    it was sent, so the tracker places all times in it into its own. ``monotonic_s``: at that reading of this machine's
    CLOCK_MONOTONIC, else now.
    """
    return _BEGUN_S + (time.monotonic() if monotonic_s is None else monotonic_s)
