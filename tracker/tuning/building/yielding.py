"""Processes that run only while nothing else on their host wants to."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

__all__ = ["yield_to_others"]

_AUTOGROUP = Path("/proc/self/autogroup")
_AUTOGROUP_TRIES = 5


def yield_to_others() -> None:
    """Let this process run only on CPU time that nothing else wants. It leaves its session for one of its own.

    Where a device shares the host with its builders, a kernel being timed must not compete with
    them: Linux's SCHED_IDLE gives way at once to any ordinary thread and needs no privilege. Yet
    where the kernel groups processes by session (sched(7), "The autogroup feature"), policies count
    within a group only and each group has an equal share: so the group's own nice value is raised too.
    """
    if hasattr(os, "SCHED_IDLE"):
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(ProcessLookupError):  # it ended a moment ago
                os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(PermissionError):  # it leads its session already
        os.setsid()
    _nice_autogroup()


def _nice_autogroup() -> None:
    for _ in range(_AUTOGROUP_TRIES):
        try:
            _AUTOGROUP.write_text("19")
        except BlockingIOError:  # the kernel takes one such change in 0.1 s of all users together
            time.sleep(0.1)
        except OSError:  # a kernel without the feature
            return
        else:
            return
