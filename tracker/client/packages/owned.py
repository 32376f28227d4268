"""What of a folder belongs to the packages in it: whose they are, and which files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = ["CLASSES", "MANIFEST", "Owner", "inside", "owned_files", "owner_of", "remove_files"]

MANIFEST = "manifest.json"
#: Beside the folders of packages for several classes of device: which is whose.
CLASSES = "classes.json"


@dataclass(frozen=True)
class Owner:
    """``model``: its name. ``digest``: the sha256 of its file, "" where nobody wrote it down."""

    model: str
    digest: str = ""

    def same_as(self, other: Owner) -> bool:
        return self.model == other.model and (not self.digest or not other.digest or self.digest == other.digest)


def owner_of(folder: Path) -> Owner | None:
    """Whose package ``folder`` holds, or whose packages for several classes; None where that is not to be known."""
    for name in (MANIFEST, CLASSES):
        told = _read(folder / name)
        if isinstance(told.get("model"), str):
            digest = told.get("model_sha256")
            return Owner(told["model"], digest if isinstance(digest, str) else "")
    return None


def owned_files(folder: Path) -> set[str]:
    """Names, relative to ``folder``, of the files that its manifest names, or those of the classes in it, and of these
    files themselves. A name that leaves the folder is none.
    """
    found = set(_of_package(folder))
    if (folder / CLASSES).is_file():
        found.add(CLASSES)
        entries = _read(folder / CLASSES).get("classes")
        for entry in entries if isinstance(entries, list) else ():
            place = entry.get("folder") if isinstance(entry, dict) else None
            if isinstance(place, str) and inside(place) and len(PurePosixPath(place).parts) == 1:
                found |= {f"{place}/{name}" for name in _of_package(folder / place)}
    return found


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Also the folders in ``folder`` that are empty then. Raises OSError."""
    for name in names:
        path = folder / name
        path.unlink(missing_ok=True)
        for parent in path.parents[: len(PurePosixPath(name).parts) - 1]:
            with contextlib.suppress(OSError):  # others' files are in it
                parent.rmdir()


def inside(name: str) -> bool:
    """Whether ``name`` is that of a file in a package."""
    path = PurePosixPath(name)
    return bool(path.parts) and "\0" not in name and not path.is_absolute() and ".." not in path.parts


def _of_package(folder: Path) -> list[str]:
    if not (folder / MANIFEST).is_file():
        return []
    digests = _read(folder / MANIFEST).get("digests")
    return [MANIFEST, *(name for name in (digests if isinstance(digests, dict) else ()) if inside(name))]


def _read(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
