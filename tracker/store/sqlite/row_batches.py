"""Many rows in one statement.

Each statement gives Python's lock away and waits to have it back, which beside a busy event loop takes up to its switch
interval: longer than the statement.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["STATEMENTS", "flat", "parts", "places"]

_TOGETHER = 64
#: To be kept by a connection: one for each number of rows, of each statement that takes many.
STATEMENTS = 8 * _TOGETHER

T = TypeVar("T")


def parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """``items`` in order, as many in a part as a statement takes."""
    for start in range(0, len(items), _TOGETHER):
        yield items[start : start + _TOGETHER]


def places(rows: Sequence[Sequence[Any]]) -> str:
    """Placeholders for rows of equal length: ``(?, ?), (?, ?)``."""
    return ", ".join([f"({', '.join('?' * len(rows[0]))})"] * len(rows))


def flat(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """What goes into the places."""
    return list(itertools.chain.from_iterable(rows))
