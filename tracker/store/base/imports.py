"""What others measured, on its way into a store, and lines of logs that are kept to be read."""

from __future__ import annotations

from typing import Protocol

from tvm_farm.tracker.domain.imports import HistoryFilter, HistoryLine, ImportPart, ImportReport

__all__ = ["History", "Imports"]


class Imports(Protocol):
    def take(self, part: ImportPart, now: float) -> ImportReport:
        """Keep what others measured, marked with ``part.source`` and ``now`` (Unix seconds), and say how much was new.

        A record whose ``trial_id`` was kept before, a workload and a job that are known, and a line of history that is
        known word for word, are neither kept nor counted again. A record counts in its task and job as one of
        ``Records.add`` does; one that tells no ``stored_s`` was stored now. A job whose id is that of another job here,
        created at another time, gets one of its own, and its records with it. Raises InvalidRequest, having kept
        nothing of the part, for a record of a job, or a task of a workload, that is neither here nor in ``part``.
        """


class History(Protocol):
    """Lines of other programs' logs that cannot be replayed: no record is made of them."""

    def page(self, query: HistoryFilter, before: int, limit: int) -> tuple[list[HistoryLine], int]:
        """A page of at most ``limit`` lines, the one kept last first; paged as ``Records.page`` with ``newest_first``.

        ``query.limit`` is the caller's to obey.
        """
