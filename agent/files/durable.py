"""Files that are whole after a power cut at any moment: the one before, or the new one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["flush_folder", "replace_durably", "write_durably"]


def write_durably(path: Path, data: bytes) -> None:
    """``data`` is ``path``'s content, on the disk, when this returns. Raises OSError, with ``path`` as it was."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
        replace_durably(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):  # what was there is whole, and the next try takes this name again
            fresh.unlink(missing_ok=True)
        raise


def replace_durably(fresh: Path, path: Path) -> None:
    """``fresh``, of the same folder, takes the name ``path``: content first, so that the name never tells of less."""
    handle = os.open(fresh, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(fresh, path)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """The names in ``folder`` are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
