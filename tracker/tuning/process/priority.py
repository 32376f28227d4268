"""How much of a busy host's CPU time a thread of the worker claims."""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["give_way"]

_NICE = 10


def give_way() -> None:
    """Let the calling thread, and the threads that it starts, have a tenth of a core that others want.

    Not SCHED_IDLE (``yield_to_others``): on a busy host a worker would never come warm. Not the whole
    process: the jobs that are forked from it would need a privilege to return to the usual priority.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
