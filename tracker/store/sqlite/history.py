"""Lines of other programs' logs, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm_farm.tracker.domain.imports import HistoryFilter, HistoryLine
from tvm_farm.tracker.store.sqlite.numbered import digest, pack, unpack
from tvm_farm.tracker.store.sqlite.row_batches import flat, parts, places
from tvm_farm.tracker.store.sqlite.store_file import StoreFile

__all__ = ["SqliteHistory"]

#: Lines that are looked at for one page: about 50 ms.
_SCAN = 20_000
_LINES = "format, task, target, device_class, cost_s, error_no, measured_s, packed, imported"


class SqliteHistory:
    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def add(self, lines: Sequence[HistoryLine], source: int) -> int:
        """Keep them as of the import with this number, within a transaction. How many of them were new."""
        rows = [_row(line, source) for line in lines]
        sql = f"INSERT INTO history (digest, {_LINES}) VALUES "
        return sum(
            self._file.db.conn.execute(f"{sql}{places(some)} ON CONFLICT (digest) DO NOTHING", flat(some)).rowcount
            for some in parts(rows)
        )

    def page(self, query: HistoryFilter, before: int, limit: int) -> tuple[list[HistoryLine], int]:
        if not before:
            before = self._file.db.conn.execute("SELECT coalesce(max(number), 0) + 1 FROM history").fetchone()[0]
        last = max(0, before - _SCAN)
        terms = ["number < ?", "number >= ?"]
        values: list[int | str] = [before, last]
        for condition, value in (("format = ?", query.format), ("instr(task, ?) > 0", query.task)):
            if value:
                terms.append(condition)
                values.append(value)
        if not query.failed:
            terms.append("cost_s > 0")
        sql = f"SELECT number, {_LINES} FROM history WHERE {' AND '.join(terms)} ORDER BY number DESC LIMIT ?"
        rows = self._file.db.conn.execute(sql, [*values, limit]).fetchall()
        return [self._line(row[1:]) for row in rows], rows[-1][0] if len(rows) == limit else last

    def _line(self, row: Any) -> HistoryLine:
        imported_from, imported_s = self._file.sources.source(row[8])
        log, task, target, device_class, cost_s, error_no, measured_s = row[:7]
        line = unpack(row[7], None)
        return HistoryLine(
            log, task, target, device_class, cost_s, error_no, measured_s, line, imported_from, imported_s
        )


def _row(line: HistoryLine, source: int) -> list[Any]:
    return [
        digest(line.line),
        line.format,
        line.task,
        line.target,
        line.device_class,
        line.cost_s,
        line.error_no,
        line.measured_unix_s,
        pack(line.line, None),
        source,
    ]
