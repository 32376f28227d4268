"""When something happens."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Moment"]


class Moment(NamedTuple):
    """``unix_s`` is shown and recorded; by ``steady_s``, of a clock that no one sets, waits are judged."""

    unix_s: float
    steady_s: float
