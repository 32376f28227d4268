"""Everything that the tracker refuses or cannot do. Each message is one sentence for the person who asked."""

from __future__ import annotations

import re

__all__ = [
    "CannotStart",
    "InvalidRequest",
    "NoBoard",
    "NotFound",
    "NotPossible",
    "StateFolderInUse",
    "StateFolderUnusable",
    "StoreFull",
    "StoreTooNew",
    "StoreUnknown",
    "TrackerError",
    "VersionMismatch",
    "sentence",
]

_WORD = re.compile(r"[a-z]+[,:;]?(?=\s|$)")


def sentence(clause: str) -> str:
    """A tracker's error as a sentence. A name at its begin stays as it is: it has a dot, a dash or a digit."""
    whole = clause[:1].upper() + clause[1:] if _WORD.match(clause) else clause
    return whole + "." if whole and whole[-1] not in ".!?" else whole


class TrackerError(Exception):
    """Root of the tree. ``wire/status.py`` maps each class below to one gRPC status."""


class InvalidRequest(TrackerError):
    """The request itself is at fault: a field is missing, unknown or contradicts another."""


class NotFound(TrackerError):
    """No such job, pool, device, workload or artifact."""


class NotPossible(TrackerError):
    """The request is fine; the farm's present state does not allow it."""


class NoBoard(NotPossible):
    """No board that is there now may work for whoever asks: the same request works once one is."""


class VersionMismatch(NotPossible):
    """Two sides of the farm have versions that cannot work together."""


class StoreFull(TrackerError):
    """The disk below the state folder is full: nothing was changed."""


class CannotStart(TrackerError):
    """The tracker cannot run with these options on this machine."""


class StateFolderInUse(CannotStart):
    """Another tracker process holds the state folder."""


class StateFolderUnusable(CannotStart):
    """The state folder cannot be read or written."""


class StoreTooNew(CannotStart):
    """A newer version of the tracker wrote the store."""


class StoreUnknown(CannotStart):
    """What was named is no store of a kind that there is."""
