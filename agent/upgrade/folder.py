"""The agent's code in its state folder: one folder for each wheel, whole under its name or not there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from tvm_farm.agent.files.durable import write_durably

__all__ = ["code_folder", "is_whole", "sync_all", "tidy", "write_digest"]

#: Every version of the agent knows this name: the installed one reads what another wrote.
_DIGEST_FILE = "sealed.sha256"


def code_folder(state: Path) -> Path:
    """The folder of the agent's code in the state folder ``state``."""
    return state / "code"


def write_digest(folder: Path) -> None:
    """Write down the digest of what is in ``folder``, for ``is_whole``. Raises OSError."""
    write_durably(folder / _DIGEST_FILE, _digest(folder).encode())


def is_whole(folder: Path) -> bool:
    """Whether ``folder`` holds what it did at ``write_digest``, and no more."""
    try:
        return (folder / _DIGEST_FILE).read_text() == _digest(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / _DIGEST_FILE):
        data = path.read_bytes()
        # A card that lost power may have names on it that are no text.
        digest.update(os.fsencode(f"{path.relative_to(folder).as_posix()}\0{len(data)}\0"))
        digest.update(data)
    return digest.hexdigest()


def sync_all(folder: Path) -> None:
    """Bring all that is below ``folder`` to the disk. Raises OSError."""
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
