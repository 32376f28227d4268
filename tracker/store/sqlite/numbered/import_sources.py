"""Where what is imported came from, and when: kept once, named by a number."""

from __future__ import annotations

import sqlite3

__all__ = ["ImportSources"]

_REMEMBERED = 1_000


class ImportSources:
    """``forget`` after a write was rolled back."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._numbers: dict[tuple[str, float], int] = {}
        self._sources: dict[int, tuple[str, float]] = {}

    def forget(self) -> None:
        self._numbers.clear()
        self._sources.clear()

    def kept(self, source: str, imported_s: float, user: str = "") -> int:
        """The number of what came from ``source`` then, which has one from now on."""
        known = self._numbers.get((source, imported_s))
        if known is None:
            sql = "SELECT number FROM imports WHERE source = ? AND imported_s = ?"
            row = self._db.execute(sql, [source, imported_s]).fetchone()
            if row is None:
                sql = "INSERT INTO imports (source, imported_s, user) VALUES (?, ?, ?) RETURNING number"
                row = self._db.execute(sql, [source, imported_s, user]).fetchone()
            if len(self._numbers) >= _REMEMBERED:
                self._numbers.clear()
            known = self._numbers[source, imported_s] = int(row[0])
        return known

    def source(self, number: int) -> tuple[str, float]:
        """The source and the Unix time."""
        known = self._sources.get(number)
        if known is None:
            row = self._db.execute("SELECT source, imported_s FROM imports WHERE number = ?", [number]).fetchone()
            if len(self._sources) >= _REMEMBERED:
                self._sources.clear()
            known = self._sources[number] = (row[0], row[1])
        return known
