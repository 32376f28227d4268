"""The identity of a device: an id that is made once, kept twice in the state folder, and outlives power cuts."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Sequence
from pathlib import Path

from tvm_farm.agent.errors import SettingsError
from tvm_farm.agent.files.durable import write_durably

__all__ = ["keep_identity", "new_identity", "read_identity", "renew_identities"]

log = logging.getLogger("agent")

_NAME, _COPY, _DAMAGED = "device-id", "device-id.copy", "device-id.damaged"


def read_identity(root: Path) -> str:
    """The device id in the state folder ``root``; "" where it is missing or not whole. Raises PermissionError."""
    return _whole(root / _NAME)


def keep_identity(root: Path) -> str:
    """The device id in ``root``, made where there was none. Raises OSError where it must be written and cannot.

    An id that is gone or not whole comes back from its copy. Without a copy, a damaged id is put aside for a person to
    look at, and this becomes a new device.
    """
    path, copy = root / _NAME, root / _COPY
    known, second = read_identity(root), _whole(copy)
    if known:
        if second != known:  # an agent that kept no copy, or a cut between the two
            try:
                write_durably(copy, f"{known}\n".encode())
            except OSError as error:
                log.warning("the device's identity has no second copy: %s cannot be written (%s)", copy, error.strerror)
        return known
    damaged = _there(path)
    if second:
        what = "is damaged" if damaged else "is gone"
        log.warning(
            "%s %s: the device id %s comes from its copy; `agent new-identity` makes another", path, what, second
        )
        write_durably(path, f"{second}\n".encode())
        return second
    if damaged:
        path.replace(root / _DAMAGED)
        log.warning("%s is damaged, and is %s now: this board joins as a new device", path, _DAMAGED)
    return new_identity(root)


def new_identity(root: Path) -> str:
    """Another device id for ``root`` from now on. Raises OSError, with the id before in force."""
    fresh = uuid.uuid4().hex
    write_durably(root / _NAME, f"{fresh}\n".encode())
    write_durably(root / _COPY, f"{fresh}\n".encode())
    return fresh


def renew_identities(folders: Sequence[Path]) -> list[tuple[str, str]]:
    """The ids before and now of each device in the first of ``folders`` that holds any; the files keep their owners.

    Raises SettingsError where none of the folders does, or a file cannot be read or written.
    """
    for root in folders:
        try:
            names = [root / _NAME, *sorted(root.glob(f"cores/*/{_NAME}"))]
            kept = [path.parent for path in names if _there(path)]
            if kept:
                return [(read_identity(folder), _renewed(folder)) for folder in kept]
        except PermissionError as error:
            raise SettingsError(f"{root} belongs to another user: run this with sudo") from error
        except OSError as error:
            raise SettingsError(f"{root} cannot be written: {error.strerror}") from error
    raise SettingsError(f"no agent has run here, in {' or '.join(map(str, folders))}: give its folder with --state DIR")


def _renewed(folder: Path) -> str:
    owner = folder.stat()
    fresh = new_identity(folder)
    if os.geteuid() == 0:
        for name in (_NAME, _COPY):
            os.chown(folder / name, owner.st_uid, owner.st_gid)
    return fresh


def _whole(path: Path) -> str:
    try:
        text = path.read_bytes().decode("ascii", "replace").strip()
    except PermissionError:
        raise
    except OSError:  # missing, or a disk that cannot read it
        return ""
    return text if re.fullmatch(r"[0-9a-f]{32}", text) else ""


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True
