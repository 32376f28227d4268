"""The agent's code in its state folder: a folder a wheel, whole under its name or not there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from tvm_farm.agent.durable import write_durably

__all__ = ["code_folder", "is_whole", "seal", "sync_all", "tidy"]

_SEAL = "sealed.sha256"


def code_folder(state: Path) -> Path:
    """Where it lies in the state folder ``state``."""
    return state / "code"


def seal(folder: Path) -> None:
    """Write down what is in ``folder``, so that ``is_whole`` can tell. Raises OSError."""
    write_durably(folder / _SEAL, _digest(folder).encode())


def is_whole(folder: Path) -> bool:
    """Whether all that was sealed is there as it was, and no more."""
    try:
        return (folder / _SEAL).read_text() == _digest(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / _SEAL):
        data = path.read_bytes()
        # A card that lost power may have names on it that are no text.
        digest.update(os.fsencode(f"{path.relative_to(folder).as_posix()}\0{len(data)}\0"))
        digest.update(data)
    return digest.hexdigest()


def sync_all(folder: Path) -> None:
    """All that is below ``folder`` is on the disk when it returns. Raises OSError."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def tidy(root: Path, keep: Collection[str]) -> None:
    """Remove the code below ``root`` that is not of the digests in ``keep``. What cannot be removed stays."""
    with contextlib.suppress(OSError):
        for path in root.iterdir():
            if path.is_dir() and len(path.name.partition(".")[0]) == 64 and path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)
