"""Lines of other programs' logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from tvm_farm.tracker.domain.imports import HistoryFilter, HistoryLine

__all__ = ["MemoryHistory"]

#: Lines that are looked at for one page.
_SCAN = 20_000


class MemoryHistory:
    """A line's number is its place, from 1."""

    def __init__(self) -> None:
        self._lines: list[HistoryLine] = []
        self._known: set[str] = set()

    def add(self, lines: Sequence[HistoryLine], source: str, now: float) -> int:
        """How many of them were new."""
        before = len(self._lines)
        for line in lines:
            if line.line not in self._known:
                self._known.add(line.line)
                self._lines.append(replace(line, imported_from=source, imported_unix_s=now))
        return len(self._lines) - before

    def page(self, query: HistoryFilter, before: int, limit: int) -> tuple[list[HistoryLine], int]:
        page: list[HistoryLine] = []
        last = len(self._lines) if not before else before - 1
        for number in islice(range(last, 0, -1), _SCAN):
            line = self._lines[number - 1]
            if query.format in ("", line.format) and query.task in line.task and (query.failed or line.cost_s > 0):
                page.append(line)
            if len(page) == limit:
                return page, number if number > 1 else 0
        return page, max(0, last - _SCAN + 1) if last > _SCAN else 0
