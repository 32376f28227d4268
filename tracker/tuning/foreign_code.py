"""What a person's file does when it is executed has to come to an end, or it would hold its job for ever."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["ends_in_time"]

#: Importing TVM's heaviest parts takes ten seconds, on a busy host some times that.
LIMIT_S = 120.0
_AGAIN_S = 1.0


@contextmanager
def ends_in_time() -> Iterator[None]:
    """Raises TimeoutError in what runs within, on the line where it is after LIMIT_S seconds, and again where it goes
    on in spite of that.

    In the main thread, where a job's process runs such code; in any other it has no limit.
    """

    def over(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"still running after {LIMIT_S:g} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, over)
    try:
        signal.setitimer(signal.ITIMER_REAL, LIMIT_S, _AGAIN_S)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
