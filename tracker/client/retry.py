"""Calls that outlive a restart of the tracker and a full disk of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from tvm_farm.tracker.client.errors import ConnectionLost, TrackerFull

__all__ = ["until_answered"]

log = logging.getLogger(__name__)
T = TypeVar("T")


def until_answered(call: Callable[[], T]) -> T:
    """``call`` until the tracker answers; each failed try is a warning in the log. Raises its other errors."""
    delay = 0.2
    while True:
        try:
            return call()
        except (ConnectionLost, TrackerFull) as error:
            log.warning("%s", error)
            time.sleep(delay)
            delay = min(5.0, 2 * delay)
