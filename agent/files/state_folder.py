"""The agent's folder on the board: its identity, its lock, its artifact cache, TVM's runtime."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tvm_farm.agent.errors import SettingsError, StateInUseError
from tvm_farm.agent.files.disk import disk_fault, is_disk_fault
from tvm_farm.agent.files.identity import keep_identity, read_identity

__all__ = ["StateFolder", "open_state", "runtime_folder"]


class StateFolder:
    """A folder held by this process alone."""

    def __init__(self, root: Path, device_id: str) -> None:
        self.root = root
        #: The id of the device when the folder was opened. It was made once and stays with the folder.
        self.device_id = device_id

    def identity(self) -> str:
        """The device id now: `agent new-identity` may have changed it; ``device_id`` where it cannot be read."""
        try:
            return read_identity(self.root) or self.device_id
        except OSError:
            return self.device_id

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def runtime(self) -> Path:
        """The folder of TVM's runtime as trackers sent it."""
        return runtime_folder(self.root)


def runtime_folder(root: Path) -> Path:
    """The folder of TVM's runtime in the state folder ``root``, which need not be held to look."""
    return root / "runtime"


@contextmanager
def open_state(root: Path) -> Iterator[StateFolder]:
    """Hold the state folder ``root``, which is made if need be. A folder of before may be on a disk that is full now.

    Raises StateInUseError, or SettingsError where the folder can be neither read nor made: no right to, or a full disk.
    """
    with _using(root):
        lock = _lock_file(root)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "?"
            raise StateInUseError(
                f"another agent (pid {holder}) works with {root}: stop it, or give this one its own with --state DIR"
            ) from error
        except OSError as error:
            raise SettingsError(
                f"the file system of {root} cannot lock files ({error.strerror}): give another folder with --state DIR"
            ) from error
        with contextlib.suppress(OSError):  # a full disk: who is refused is told no number
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        with _using(root):
            state = StateFolder(root, keep_identity(root))
        yield state
    finally:
        os.close(lock)


def _lock_file(root: Path) -> int:
    path = root / "lock"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if not is_disk_fault(error) or not path.exists():
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def _using(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = disk_fault(error) if is_disk_fault(error) else error.strerror
        raise SettingsError(
            f"the state folder {root} cannot be used: {why}; mend that, or give another with --state DIR"
        ) from error
