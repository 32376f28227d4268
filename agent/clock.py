"""The clock by which a board tells when something happened. It goes on evenly, whatever sets the board's clock."""

from __future__ import annotations

import time

__all__ = ["steady_unix_s"]

_BEGUN_S = time.time() - time.monotonic()


def steady_unix_s(monotonic_s: float | None = None) -> float:
    """Unix seconds as this process believed them when it began, counted on by the monotonic clock.

    A board without a battery begins months behind and jumps when NTP answers. Each message says by this clock when it
    was sent, so that the tracker can place all times in the message into its own. ``monotonic_s``: the reading of this
    machine's CLOCK_MONOTONIC to convert; None: now.
    """
    return _BEGUN_S + (time.monotonic() if monotonic_s is None else monotonic_s)
