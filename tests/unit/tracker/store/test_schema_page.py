"""The page that documents the schema names every table, view and column there is, and none besides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from tvm_farm.tracker.store import open_store, sqlite_url

PAGE = (Path(__file__).parents[4] / "tracker" / "store" / "README.md").read_text()
#: sqlite-utils' own, of its migrations.
_OTHERS = {"_sqlite_migrations"}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    open_store(sqlite_url(tmp_path / "tracker.db")).close()
    db = Database(tmp_path / "tracker.db")
    yield db
    db.close()


def drawn() -> dict[str, dict[str, str]]:
    """Columns of each table of the picture, and their types."""
    [picture] = re.findall(r"```mermaid\nerDiagram\n(.*?)```", PAGE, re.DOTALL)
    tables = re.findall(r"^ {2}(\w+) \{\n(.*?)^ {2}\}", picture, re.DOTALL | re.MULTILINE)
    return {name: {line.split()[1]: line.split()[0] for line in body.strip().splitlines()} for name, body in tables}


def test_the_picture_has_every_table_and_column(db: Database) -> None:
    there = {
        table.name: {column.name: (column.type or "").upper() for column in table.columns}
        for table in db.tables
        if table.name not in _OTHERS
    }
    assert {name: {c: kind.upper() for c, kind in columns.items()} for name, columns in drawn().items()} == there


def test_the_picture_has_every_foreign_key(db: Database) -> None:
    [picture] = re.findall(r"```mermaid\nerDiagram\n(.*?)```", PAGE, re.DOTALL)
    lines = set(re.findall(r"^ {2}(\w+) \|[o|]--o\{ (\w+) : \"?(\w+)", picture, re.MULTILINE))
    keys = {(key.other_table, key.table, key.column) for table in db.tables for key in table.foreign_keys}
    assert keys <= lines
    # Lines beside foreign keys are of numbers of words, which the page explains.
    assert {(parent, column) for parent, _, column in lines - keys} <= {("words", "words")}


def test_each_column_of_a_view_is_explained(db: Database) -> None:
    assert {view.name for view in db.views} == {"log", "best"}
    for view in db.views:
        section = PAGE.partition(f"### `{view.name}`")[2].partition("\n#")[0]
        explained = set(re.findall(r"`(\w+)`", section.replace("`, `", "` `")))
        assert {column.name for column in view.columns} <= explained, view.name


def test_questions_of_the_page_are_answered(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path / "tracker.db"))
    asked = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    assert len(asked) >= 3
    reader = store.reader()
    assert reader.sql is not None
    for sql in asked:
        reader.sql.answer(sql, 0)
    store.close()
