"""Questions to the log beside the thread that owns the store: for people, who ask what no index answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from tvm_farm.tracker.domain import RecordFilter, SqlAnswer

__all__ = ["LogReader", "SqlReader"]


class SqlReader(Protocol):
    """What only a store has that understands SQL."""

    def answer(self, sql: str, limit: int) -> SqlAnswer:
        """What one SELECT of a person says: at most ``limit`` rows, 0 being as many as an answer may have.

        Nothing but a question is obeyed. Raises InvalidRequest, one sentence.
        """


class LogReader(Protocol):
    """Any thread may ask, while the store's own writes: it sees what was kept when it began, and nobody waits for it.

    A question that takes longer than the seconds that it was opened with ends with InvalidRequest.
    """

    @property
    def sql(self) -> SqlReader | None:
        """Questions in SQL; None where the store understands none."""

    def numbers(self, query: RecordFilter, classes: Collection[str] | None) -> list[int]:
        """Numbers of the records that ``query`` asks for, in its order, at most its limit. ``classes`` as in Records.

        Raises InvalidRequest where it takes too long.
        """

    def close(self) -> None:
        """What is being asked ends now, as what takes too long does."""
