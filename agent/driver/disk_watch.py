"""The watch over the disk that holds a device's files: when it takes none, and when it does again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tvm_farm.agent.files.disk import DiskError, try_disk
from tvm_farm.agent.session.events import DiskFailed, DiskMended, Event

__all__ = ["DiskWatch"]

#: The pause before a disk that took no file is tried again: the first, and the longest.
_FIRST_S, _LONGEST_S = 2.0, 60.0
#: A disk that fails is not always written to by trials, nor does a write tell before it reaches the disk.
_LOOK_EVERY_S = 600.0


class DiskWatch:
    """Tells the session that the disk of ``folder`` takes no files, and when it does again.

    ``deliver`` and ``spawn``: as in link.Link.
    """

    def __init__(
        self,
        folder: Path,
        deliver: Callable[[Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._folder = folder
        self._deliver = deliver
        self._spawn = spawn
        #: Why the disk takes no files, a clause; "" while it does.
        self.fault = ""
        self._needed_bytes = 0
        self._pause_s = _FIRST_S
        self._afterwards: list[Event] = []
        self._awaiting: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Try the disk once. Called at the start, too: a fault is told before the first trial comes."""
        fault = await asyncio.to_thread(try_disk, self._folder)
        if fault and not self.fault:
            self._failed(fault, DiskFailed(fault))

    async def watch(self) -> None:
        """Look now and then, for ever."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await self.look()

    def failed(self, error: DiskError, trial_id: str = "", *, mended: Event | None = None) -> None:
        """A file was not taken: one of ``trial_id``, "" where it was no trial's.

        ``mended``: an event to deliver as well, once the disk takes files again.
        """
        self._needed_bytes = max(error.needed_bytes, self._needed_bytes)
        self._afterwards += [mended] if mended is not None and mended not in self._afterwards else []
        self._failed(error.fault, DiskFailed(error.fault, trial_id, str(error)))

    def took(self) -> None:
        """A trial's files were taken: the next fault is tried again after the first pause."""
        self._pause_s = _FIRST_S

    def _failed(self, fault: str, event: DiskFailed) -> None:
        self.fault = fault
        self._deliver(event)
        if self._awaiting is None or self._awaiting.done():
            self._awaiting = self._spawn(self._await_room())

    async def _await_room(self) -> None:
        """Try the disk, ever more seldom, until it takes what it did not."""
        while self.fault:
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(_LONGEST_S, 2 * self._pause_s)
            fault = await asyncio.to_thread(try_disk, self._folder, self._needed_bytes)
            if fault and fault != self.fault:
                self._deliver(DiskFailed(fault))
            self.fault = fault
        afterwards, self._afterwards, self._needed_bytes = self._afterwards, [], 0
        for event in (DiskMended(), *afterwards):
            self._deliver(event)
