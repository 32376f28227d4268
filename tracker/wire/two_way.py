"""The two directions of a bidirectional stream, side by side."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import grpc.aio

__all__ = ["OneByOne", "Outbox", "two_way"]

#: A client that reads no more does not keep its call open longer than this.
_FLUSH_S = 5.0

In = TypeVar("In")
Out = TypeVar("Out")


class Outbox(ABC, Generic[Out]):
    """What is to be sent. What gathers in one turn of the event loop, or during a write, leaves together.

    ``send(None)`` ends the stream after what was sent before. A stream's message costs far more than what is in it.
    """

    def __init__(self) -> None:
        self._ended = False
        self._some = False
        self._waiting: asyncio.Future[None] | None = None

    def send(self, item: Out | None) -> None:
        """After None everything else is dropped."""
        if item is None:
            self._ended = True
            self.wake()
        elif not self._ended and self.put(item):
            self.wake()

    @abstractmethod
    def put(self, item: Out) -> bool:
        """Keep an item for the next message; whether it is to leave now, not with what comes after it."""

    @abstractmethod
    def take(self) -> Any | None:
        """The next message, or its bytes, with all that has gathered, as far as one should hold; None when there is
        nothing.
        """

    def wake(self) -> None:
        self._some = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def write(self, context: Any) -> None:
        # asyncio.Event does the same in three times the steps, for every message.
        loop = asyncio.get_running_loop()
        while True:
            if not self._some:
                self._waiting = loop.create_future()
                await self._waiting
            self._some = False
            while (message := self.take()) is not None:
                await context.write(message)
            if self._ended:
                return


class OneByOne(Outbox[Out]):
    """Every item is a message."""

    def __init__(self, encode: Callable[[Out], Any]) -> None:
        super().__init__()
        self._encode = encode
        self._queue: deque[Out] = deque()

    def put(self, item: Out) -> bool:
        self._queue.append(item)
        return True

    def take(self) -> Any | None:
        return self._encode(self._queue.popleft()) if self._queue else None


async def two_way(
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
        while True:
            try:
                coming = context.read()
                message = await (coming if silence_s is None else asyncio.wait_for(coming, silence_s))
            except asyncio.TimeoutError:
                break
            if message is grpc.aio.EOF:
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
