"""The two directions of a bidirectional stream, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

__all__ = ["Outbox", "exchange"]

#: A client that reads no more does not keep its call open longer than this.
_FLUSH_S = 5.0

In = TypeVar("In")
Out = TypeVar("Out")


class Outbox(Generic[Out]):
    """What is to be sent, in order. ``send(None)`` ends the stream after what was sent before."""

    def __init__(self, encode: Callable[[Out], Any]) -> None:
        self._encode = encode
        self._queue: asyncio.Queue[Out | None] = asyncio.Queue()

    def send(self, item: Out | None) -> None:
        self._queue.put_nowait(item)

    async def write(self, context: Any) -> None:
        while (item := await self._queue.get()) is not None:
            await context.write(self._encode(item))


async def exchange(
    requests: AsyncIterator[In],
    context: Any,
    outbox: Outbox[Any],
    handle: Callable[[In], Awaitable[None]],
    *,
    silence_s: float | None = None,
    closed: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Handle what comes, in order, and send what is in ``outbox``, until the outbox ends or the client closes.

    A client that closes its direction is sent what ``closed`` still waits for. With ``silence_s`` the stream also
    ends when nothing came for that long. Raises what ``handle`` raises.
    """

    async def read() -> None:
        incoming = requests.__aiter__()
        while True:
            try:
                coming = incoming.__anext__()
                message = await (coming if silence_s is None else asyncio.wait_for(coming, silence_s))
            except (StopAsyncIteration, asyncio.TimeoutError):
                break
            await handle(message)
        if closed is not None:
            await closed()
        outbox.send(None)

    reader = asyncio.ensure_future(read())
    writer = asyncio.ensure_future(outbox.write(context))
    try:
        await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
        if reader.done() and not reader.cancelled() and reader.exception() is not None:
            # A write that is cancelled half-way would keep the call from being ended with the error's status.
            outbox.send(None)
            await asyncio.wait({writer}, timeout=_FLUSH_S)
            reader.result()
        await writer
    finally:
        reader.cancel()
        writer.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)
