"""What systemd is to a service that notifies: a datagram socket, and the words that come by it."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from types import TracebackType

__all__ = ["ServiceManager"]


class ServiceManager:
    """``async with ServiceManager(…) as manager``: start the service with ``environ``.

    ``address``: a path, or a name of the abstract kind, which begins with @. ``watchdog_s`` 0: no watchdog.
    """

    def __init__(self, address: str | Path, watchdog_s: float = 0.0) -> None:
        self._address = str(address)
        self._watchdog_s = watchdog_s
        #: Each datagram as the lines in it, in order.
        self.heard: list[list[str]] = []
        self._changed = asyncio.Condition()

    @property
    def environ(self) -> dict[str, str]:
        watched = {"WATCHDOG_USEC": str(int(self._watchdog_s * 1e6))} if self._watchdog_s else {}
        return {"NOTIFY_SOCKET": self._address, **watched}

    async def __aenter__(self) -> ServiceManager:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{self._address[1:]}" if self._address.startswith("@") else self._address)
        self._socket.setblocking(False)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.cancel()
        await asyncio.wait([self._listening])
        self._socket.close()
        if not self._address.startswith("@"):
            os.unlink(self._address)

    async def _listen(self) -> None:
        while True:
            datagram = await asyncio.get_running_loop().sock_recv(self._socket, 8192)
            self.heard.append(datagram.decode().split("\n"))
            async with self._changed:
                self._changed.notify_all()

    @property
    def lines(self) -> list[str]:
        return [line for datagram in self.heard for line in datagram]

    @property
    def status(self) -> str:
        """What a person reads in `systemctl status` now."""
        told = [line.partition("=")[2] for line in self.lines if line.startswith("STATUS=")]
        return told[-1] if told else ""

    async def hears(self, line: str, times: int = 1) -> None:
        """Wait until ``line`` was heard so often."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: self.lines.count(line) >= times), 30)
