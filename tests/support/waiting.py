"""Waiting: for a condition, with a deadline; for what an event loop has ready."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["one_turn", "wait_until"]

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout_s: float = 20.0, what: str = "") -> T:
    """The first true value of ``condition``. Fails the test after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what or condition}")
        time.sleep(0.02)
    return value


async def one_turn() -> None:
    """The event loop has called all that was ready, once."""
    loop = asyncio.get_running_loop()
    turned = loop.create_future()
    loop.call_soon(turned.set_result, None)
    await turned
