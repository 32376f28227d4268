"""What makes a log smaller."""

from __future__ import annotations

from typing import Protocol

from tvm_farm.tracker.domain.imports import Compaction

__all__ = ["Compactor"]


class Compactor(Protocol):
    """One compaction of a store. Each call takes some tens of milliseconds; other calls may come between them.

    It may be given up at any time: what is gone is gone, everything else is as it was.
    """

    def survey(self) -> Compaction | None:
        """Look a little further at what there is. None until all was seen, then what the removal comes to."""

    def remove(self) -> Compaction:
        """After the survey: remove a little more, then give the room back, until it is ``done``."""
