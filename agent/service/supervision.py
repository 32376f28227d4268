"""The agent's words to systemd: that it is up, what it does, and that its event loop turns."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tvm_farm.agent.session.state import Phase, Session

__all__ = ["Supervision", "status_of"]

#: How often a change in what the agent does is told.
_TELL_EVERY_S = 5.0
_PHASES = {
    Phase.JOINING: "looking for a tracker",
    Phase.LOST: "lost the tracker, looking for it",
    Phase.IDLE: "idle",
    Phase.MEASURING: "measuring",
    Phase.DRAINING: "draining",
}


class Supervision:
    """The protocol of sd_notify(3), by the socket that ``environ`` names. Without a socket nothing is said."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is of the abstract kind, which has no file: unix(7).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watched_s = 0.0
        if environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            with contextlib.suppress(ValueError):
                self._watched_s = int(environ.get("WATCHDOG_USEC", "0")) / 1e6
        #: Gives the line for people. May be replaced at any time.
        self.status: Callable[[], str] = lambda: ""
        self._told: set[str] = set()
        #: Lines that the socket did not take yet.
        self._untold: list[str] = []

    def ready(self) -> None:
        """Tell, once, that the agent has begun to look for its tracker, which may take for ever."""
        self._tell_once("READY=1")

    def stopping(self) -> None:
        """Tell, once, that the agent was asked to stop."""
        self._tell_once("STOPPING=1")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Tell until the end, from the running event loop, that it turns and what the agent does."""
        if not self._address:
            yield
            return
        if self._watched_s:
            # A loop that hangs is ended by SIGABRT: where it hangs is the one thing to learn from that.
            faulthandler.enable()
        telling = asyncio.create_task(self._keep_telling())
        try:
            yield
        finally:
            telling.cancel()

    async def _keep_telling(self) -> None:
        every_s = min(_TELL_EVERY_S, self._watched_s / 2 or _TELL_EVERY_S)
        last = ""
        while True:
            lines = ["WATCHDOG=1"] if self._watched_s else []
            if (status := self.status()) != last:
                lines.append(_line(status))
            if self._tell(lines):
                last = status
            await asyncio.sleep(every_s)

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._untold.append(line)
            self._tell([_line(self.status())])

    def _tell(self, lines: list[str]) -> bool:
        """Whether the socket took ``lines``, and before them what it did not take earlier."""
        lines = [*self._untold, *lines]
        if not self._address or not lines:
            return True
        # Whoever started the agent may be gone, or read slowly, as at a boot: that is no reason to end or to wait.
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        self._untold.clear()
        return True


def _line(status: str) -> str:
    """A status as one line, since each line of a message is an order to systemd and a tracker's words may be in it."""
    return f"STATUS={' '.join(status.split())}"


def status_of(sessions: Mapping[str, Session]) -> str:
    """One line on what the devices of an agent do, by name: "joined lab, measuring"."""
    told = {name: _status(session) for name, session in sessions.items()}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{name}: {line}" for name, line in told.items())


def _status(session: Session) -> str:
    joined = session.phase in (Phase.IDLE, Phase.MEASURING)
    parts = [f"joined {session.farm}"] if joined else []
    parts.append(f"refused by the tracker: {session.refused}" if session.refused else _PHASES[session.phase])
    parts += [session.disk_fault] if session.disk_fault else []
    return ", ".join(parts)
