"""The agent's folder on the board: its identity, its lock, its artifact cache, TVM's runtime."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import SettingsError, StateInUseError

__all__ = ["StateFolder", "open_state", "runtime_folder"]


class StateFolder:
    """A folder held by this process alone. ``device_id`` was made once and stays with the folder."""

    def __init__(self, root: Path, device_id: str) -> None:
        self.root = root
        self.device_id = device_id

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def runtime(self) -> Path:
        """TVM's runtime as trackers sent it."""
        return runtime_folder(self.root)


def runtime_folder(root: Path) -> Path:
    """Where it lies in the state folder ``root``, which need not be held to look."""
    return root / "runtime"


@contextmanager
def open_state(root: Path) -> Iterator[StateFolder]:
    """Make the folder if need be and hold it.

    Raises StateInUseError, or SettingsError where it cannot be written: no right to, or a full disk.
    """
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
        with _writing(root):
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            state = StateFolder(root, _device_id(root))
        yield state
    finally:
        os.close(lock)


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(
            f"the state folder {root} cannot be written ({error.strerror}): mend that, or give another with --state DIR"
        ) from error


def _device_id(root: Path) -> str:
    path = root / "device-id"
    try:
        known = path.read_text().strip()
    except FileNotFoundError:
        known = ""
    if not known:
        known = uuid.uuid4().hex
        fresh = path.with_suffix(".new")
        fresh.write_text(known + "\n")
        fresh.replace(path)
    return known
