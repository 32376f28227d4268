"""Files that are whole after a power cut at any moment: the file before, or the new one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["flush_folder", "replace_durably", "write_durably"]


def write_durably(path: Path, data: bytes) -> None:
    """Make ``data`` the content of ``path``, on the disk. Raises OSError, with ``path`` as it was."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
        replace_durably(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):  # ``path`` is whole, and the next try takes this name again
            fresh.unlink(missing_ok=True)
        raise


def replace_durably(fresh: Path, path: Path) -> None:
    """Give ``fresh``, of the same folder, the name ``path``. The content is on the disk before the name."""
    handle = os.open(fresh, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(fresh, path)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
