"""Waiting: for a condition, with a deadline; for what an event loop has ready."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["one_turn", "wait_until"]

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, timeout_s: float = 20.0) -> T:
    """The first true value of ``condition``. Fails after ``timeout_s``, and says that ``what`` did not come."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"within {timeout_s:g} s there was no {what}"
        time.sleep(0.02)
    return value


async def one_turn() -> None:
    """The event loop has called all that was ready, once."""
    loop = asyncio.get_running_loop()
    turned = loop.create_future()
    loop.call_soon(turned.set_result, None)
    await turned
