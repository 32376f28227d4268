"""The disk that holds the state folder: whether files can be written there, and the words for why not."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from tvm_farm.agent.errors import ArtifactError

__all__ = ["FULL", "PROBE", "DiskError", "disk_fault", "is_disk_fault", "try_disk"]

#: The errors of a full disk, or of a full share of one.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLAUSES = {
    **dict.fromkeys(FULL, "its disk is full"),
    errno.EROFS: "its disk is read-only",
    errno.EIO: "its disk has errors",
}
#: The name of the file by which ``try_disk`` tries a folder.
PROBE = "probe"
_PROBE = b"\0" * 4096


class DiskError(ArtifactError):
    """The board's disk did not take a file."""

    def __init__(self, what: str, error: OSError, needed_bytes: int = 0) -> None:
        #: Why it did not, a clause: "its disk is full".
        self.fault = disk_fault(error)
        #: The room that the file needs; 0 where that is unknown.
        self.needed_bytes = needed_bytes
        remedy = "free some room, or put the state elsewhere with --state DIR"
        super().__init__(f"{what}: {self.fault}; {remedy}" if error.errno in FULL else f"{what}: {self.fault}")


def disk_fault(error: OSError) -> str:
    """What is wrong with the disk, a clause: "its disk is full"."""
    return _CLAUSES.get(error.errno or 0) or f"its disk takes no files ({error.strerror or error})"


def is_disk_fault(error: OSError) -> bool:
    """Whether the error is the disk's, and not that of one name or right."""
    return error.errno in _CLAUSES


def try_disk(folder: Path, needed_bytes: int = 0) -> str:
    """Why the disk takes no file of ``needed_bytes`` into ``folder``, a clause; "" where it does.

    A little is written, through to the disk, and taken away again: seconds on a slow disk.
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
