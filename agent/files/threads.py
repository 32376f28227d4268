"""Work on files that would keep the event loop waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_thread"]

V = TypeVar("V")


async def in_thread(work: Callable[[], V]) -> V:
    """Like asyncio.to_thread, but a caller that is cancelled leaves nothing at work on its file."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
