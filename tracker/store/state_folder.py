"""The state folder: one tracker at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tvm_farm.tracker.domain.errors import StateFolderInUse, StateFolderUnusable

__all__ = ["StateFolder"]


class StateFolder:
    """A tracker's folder, held by this process until ``release`` or its death.

    Creates it, readable by this user alone. Raises StateFolderInUse with the other's pid, StateFolderUnusable when it
    cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(path / "tracker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise StateFolderUnusable(f"the state folder {path} cannot be written: {e.strerror}") from e
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            pid = os.pread(self._fd, 32, 0).decode().strip() or "unknown"
            os.close(self._fd)
            raise StateFolderInUse(
                f"another tracker (pid {pid}) uses the state folder {path}: stop it, or name another one with --state"
            ) from e
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as e:
            os.close(self._fd)
            raise StateFolderUnusable(f"the state folder {path} cannot be written: {e.strerror}") from e

    def release(self) -> None:
        os.close(self._fd)
