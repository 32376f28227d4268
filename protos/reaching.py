"""Which of several addresses of one tracker answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from tvm_farm.protos.address import split_address

__all__ = ["WITHIN_S", "first_reached"]

#: No address is waited for longer.
WITHIN_S = 5.0
#: The next one is tried after that long, beside those before: RFC 8305, section 8.
_NEXT_AFTER_S = 0.25


async def first_reached(addresses: Sequence[str], within_s: float = WITHIN_S) -> str | None:
    """The first of ``addresses``, each ``host:port``, that takes a connection; they are tried in their order.

    None where none does within ``within_s`` seconds of being tried.
    """
    tried: set[asyncio.Task[str]] = set()
    try:
        for address in addresses:
            tried.add(asyncio.create_task(_reached(address, within_s)))
            last = len(tried) == len(addresses)
            if (found := await _first(tried, None if last else _NEXT_AFTER_S)) is not None:
                return found
        return None
    finally:
        for task in tried:
            task.cancel()
        await asyncio.gather(*tried, return_exceptions=True)


async def _first(tasks: set[asyncio.Task[str]], within_s: float | None) -> str | None:
    """What the first of ``tasks`` that does not fail returns; None: all failed, or none has ended by then."""
    waiting = {task for task in tasks if not task.done()}
    end = None if within_s is None else asyncio.get_running_loop().time() + within_s
    while waiting:
        left_s = None if end is None else max(0.0, end - asyncio.get_running_loop().time())
        done, waiting = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return None
        for task in done:
            if task.exception() is None:
                return task.result()
    return None


async def _reached(address: str, within_s: float) -> str:
    """``address`` once it takes a connection. Raises OSError."""
    host, port = split_address(address)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), within_s)
    except asyncio.TimeoutError:
        raise TimeoutError(f"no answer from {address} within {within_s:g} s") from None
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return address
