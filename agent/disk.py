"""The disk that holds the state folder: whether it takes files, and in which words people hear why not."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tvm_farm.agent.errors import ArtifactError
from tvm_farm.agent.events import DiskFailed, DiskMended, Event

__all__ = ["FULL", "PROBE", "DiskError", "DiskWatch", "disk_fault", "is_disk_fault", "try_disk"]

#: What a full disk, or a full share of one, answers with.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLAUSES = {
    **dict.fromkeys(FULL, "its disk is full"),
    errno.EROFS: "its disk is read-only",
    errno.EIO: "its disk has errors",
}
#: How long a disk that takes no files is left alone: at first, and at most.
_FIRST_S, _LONGEST_S = 2.0, 60.0
#: A disk that fails is not always written to by trials, nor does a write tell before it reaches the disk.
_LOOK_EVERY_S = 600.0
PROBE = "probe"
_PROBE = b"\0" * 4096


class DiskError(ArtifactError):
    """The board's disk did not take a file. ``fault`` is the clause, ``needed_bytes`` what it had to have room for."""

    def __init__(self, what: str, error: OSError, needed_bytes: int = 0) -> None:
        self.fault = disk_fault(error)
        self.needed_bytes = needed_bytes
        remedy = "free some room, or put the state elsewhere with --state DIR"
        super().__init__(f"{what}: {self.fault}; {remedy}" if error.errno in FULL else f"{what}: {self.fault}")


def disk_fault(error: OSError) -> str:
    """A clause: "its disk is full"."""
    return _CLAUSES.get(error.errno or 0) or f"its disk takes no files ({error.strerror or error})"


def is_disk_fault(error: OSError) -> bool:
    """Whether it is the disk's, and not that of one name or right."""
    return error.errno in _CLAUSES


def try_disk(folder: Path, needed_bytes: int = 0) -> str:
    """Why the disk takes no file of ``needed_bytes`` into ``folder``, a clause; "" where it does.

    Writes a little, through to the disk, and takes it away again: seconds on a slow one.
    """
    probe = folder / PROBE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        room = os.statvfs(folder)
        if room.f_bavail * room.f_frsize < needed_bytes + len(_PROBE):
            return _CLAUSES[errno.ENOSPC]
        try:
            handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, _PROBE)
                os.fsync(handle)
            finally:
                os.close(handle)
        finally:
            with contextlib.suppress(OSError):  # the error above says why
                probe.unlink(missing_ok=True)
    except OSError as error:
        return disk_fault(error)
    return ""


class DiskWatch:
    """Tells the session that the disk of ``folder`` takes no files, and when it does again.

    ``fault``: why it takes none, a clause; "" while it does. ``deliver`` and ``spawn`` as in agent.link.
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
        self.fault = ""
        self._needed_bytes = 0
        self._pause_s = _FIRST_S
        self._afterwards: list[Event] = []
        self._awaiting: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """At the start: a disk that takes nothing is told of before the first trial comes."""
        fault = await asyncio.to_thread(try_disk, self._folder)
        if fault and not self.fault:
            self._failed(fault, DiskFailed(fault))

    async def watch(self) -> None:
        """Look now and then, for ever."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await self.look()

    def failed(self, error: DiskError, trial_id: str = "", *, mended: Event | None = None) -> None:
        """A file was not taken, of ``trial_id`` where it was a trial's. ``mended``: told, too, once files are."""
        self._needed_bytes = max(error.needed_bytes, self._needed_bytes)
        self._afterwards += [mended] if mended is not None and mended not in self._afterwards else []
        self._failed(error.fault, DiskFailed(error.fault, trial_id, str(error)))

    def took(self) -> None:
        """A trial's files were."""
        self._pause_s = _FIRST_S

    def _failed(self, fault: str, event: DiskFailed) -> None:
        self.fault = fault
        self._deliver(event)
        if self._awaiting is None or self._awaiting.done():
            self._awaiting = self._spawn(self._await_room())

    async def _await_room(self) -> None:
        """Look again, ever more seldom while it is in vain, until the disk takes what it did not."""
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
