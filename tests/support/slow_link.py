"""A link to a tracker that brings so many bytes a second and no more, as a board's Wi-Fi does."""

from __future__ import annotations

import asyncio
from types import TracebackType

__all__ = ["SlowLink"]

_PIECE = 4 << 10


class SlowLink:
    """``async with SlowLink(port, bytes_a_second) as link``: 127.0.0.1:``link.port`` leads to ``port``, slowly back.

    What the tracker sends waits in this machine's buffers, a ping's answer behind it, as in a lab's router. ``forth``:
    what is sent to it is as slow.
    """

    def __init__(self, port: int, bytes_a_second: int, *, forth: bool = False) -> None:
        self._forth = bytes_a_second if forth else 0
        self._to = port
        self._rate = bytes_a_second
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> SlowLink:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._to)
            try:
                await asyncio.gather(self._pass(reader, forth, self._forth), self._pass(back, writer, self._rate))
            finally:
                forth.close()
        except (OSError, asyncio.CancelledError):
            # Either end has hung up, or the link ends: Python 3.11 reports a handler that is cancelled as an error.
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: int) -> None:
        loop = asyncio.get_running_loop()
        free_at = loop.time()
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
            if rate:
                free_at = max(free_at, loop.time()) + len(data) / rate
                await asyncio.sleep(free_at - loop.time())
        writer.close()
