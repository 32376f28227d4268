"""Questions to the file beside the thread that owns it.

Each question has a connection of its own that can only read, and a limit of time. SQLite's log lets it read what was
committed when it began while others write; nobody waits for it.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tvm_farm.tracker.domain import RecordFilter, SqlAnswer
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.store.sqlite.numbered import Traces
from tvm_farm.tracker.store.sqlite.records import ordered_query

__all__ = ["MAX_ROWS", "SqlAnswers", "SqliteLogReader"]

#: Of one answer: rows, and bytes of text and blobs in them.
MAX_ROWS = 100_000
MAX_BYTES = 32 << 20
#: Of one value, where Python can say so to SQLite (3.11): what makes a longer one would take the tracker's memory.
_MAX_VALUE_BYTES = 16 << 20
#: SQLite's own instructions between two looks at the clock: a millisecond at most.
_INSTRUCTIONS = 20_000
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
#: They tell of the schema alone.
_PRAGMAS = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"}


class SqliteLogReader:
    """Of the store's file at ``path``. See tracker.store.base.LogReader; ``seconds`` is what a question may take."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._questions = _Questions(path, seconds)
        self.sql = SqlAnswers(self._questions)

    def close(self) -> None:
        self._questions.ended = True

    def numbers(self, query: RecordFilter, classes: Collection[str] | None) -> list[int]:
        sql, values = ordered_query(query, classes)
        with self._questions.connected() as connection:
            try:
                return [row[0] for row in connection.execute(sql, values)]
            except sqlite3.OperationalError as e:
                raise InvalidRequest(self._questions.told(e)) from e


class SqlAnswers:
    """See tracker.store.base.SqlReader. Beside SQLite's functions there is ``trace(number)``, the text of a trace."""

    def __init__(self, questions: _Questions) -> None:
        self._questions = questions

    def answer(self, sql: str, limit: int) -> SqlAnswer:
        most = min(limit or MAX_ROWS, MAX_ROWS)
        with self._questions.connected() as connection:
            connection.create_function("trace", 1, _Texts(connection), deterministic=True)
            connection.set_authorizer(_authorize)
            try:
                cursor = connection.execute(sql)
                if cursor.description is None:
                    raise InvalidRequest("that is no question: write a SELECT")
                rows, cut = _fetch(cursor, most)
                return SqlAnswer(tuple(column[0] for column in cursor.description), rows, cut)
            except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as e:
                raise InvalidRequest(self._questions.told(e)) from e


class _Questions:
    """Connections that can only read, each for one question, until ``ended``."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=ro"
        self._seconds = seconds
        self.ended = False

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._uri, uri=True)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.text_factory = _text
            if sys.version_info >= (3, 11):
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
            until = time.monotonic() + self._seconds
            connection.set_progress_handler(lambda: self.ended or time.monotonic() > until, _INSTRUCTIONS)
            yield connection

    def told(self, error: Exception) -> str:
        """One sentence for who asked."""
        said = str(error).strip().rstrip(".")
        if "interrupted" in said:
            return f"that takes longer than {self._seconds:g} s: narrow it, or ask a copy of the store's file"
        if any(word in said for word in ("authoriz", "prohibited", "readonly", "cannot modify")):
            return f"the log can only be read: write a SELECT ({said})"
        if "one statement at a time" in said:
            return "write one SELECT, without another one behind it"
        return f"SQLite does not understand it: {said}"


class _Texts:
    """``trace(number)`` in SQL: NULL of NULL and of an unknown one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._traces = Traces(connection)

    def __call__(self, number: Any) -> str | None:
        known = self._connection.execute("SELECT 1 FROM traces WHERE number = ?", [number]).fetchone()
        return self._traces.text(number) if known else None


def _fetch(cursor: sqlite3.Cursor, most: int) -> tuple[tuple[Any, ...], bool]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:
        size += sum([len(value) for value in row if isinstance(value, (str, bytes))])
        if len(rows) == most or (rows and size > MAX_BYTES):
            return tuple(rows), True
        rows.append(row)
    return tuple(rows), False


def _authorize(action: int, first: str | None, *_: str | None) -> int:
    allowed = action in _ALLOWED or (action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _text(encoded: bytes) -> str:
    """A person may call any bytes a text."""
    return encoded.decode(errors="replace")
