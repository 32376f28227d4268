"""Quantities as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["figure", "scaled", "size"]

_BYTES = ("KiB", "MiB", "GiB", "TiB")


def figure(number: float) -> str:
    """Three digits that say something: "0.00123", "12.0", "999", "4,321"."""
    if number == 0:
        return "0"
    rounded = float(f"{number:.3g}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{number:,.{min(decimals, 12)}f}"


def scaled(number: float, units: Sequence[tuple[str, float]]) -> str:
    """``number`` as a figure in the first of ``units``, each with its size, in which it is below 1,000; else in the
    last.
    """
    unit, one = next(((unit, one) for unit, one in units if number / one < 999.5), units[-1])
    return f"{figure(number / one)} {unit}"


def size(count_bytes: float) -> str:
    """ "812 B", "80.9 KiB", "9.41 MiB", "2.30 GiB". The units are powers of 1,024."""
    if count_bytes < 1000:
        return f"{count_bytes:.0f} B"
    return scaled(count_bytes, tuple((unit, 1024.0**n) for n, unit in enumerate(_BYTES, 1)))
