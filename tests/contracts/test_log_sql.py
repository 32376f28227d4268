"""Questions of people in SQL, to a file: what they are told, and that it does no harm."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.small_log import fill, log_record
from tvm_farm.tracker.domain import SqlAnswer
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.store.sqlite import SqliteStore, log_reader
from tvm_farm.tracker.store.sqlite.log_reader import SqliteLogReader


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tracker.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Open while it is asked, as of a running tracker."""
    store = SqliteStore(path)
    fill(store)
    yield store
    store.close()


def answer(path: Path, sql: str, limit: int) -> SqlAnswer:
    return SqliteLogReader(path, 30.0).sql.answer(sql, limit)


def test_an_answer_has_columns_and_rows_of_every_type(path: Path, store: SqliteStore) -> None:
    answered = answer(path, "SELECT 1 AS one, 2.5, 'three', x'04', NULL, 9223372036854775807", 0)
    assert answered == SqlAnswer(
        ("one", "2.5", "'three'", "x'04'", "NULL", "9223372036854775807"),
        ((1, 2.5, "three", b"\x04", None, 2**63 - 1),),
    )


def test_the_log_is_words_and_not_numbers(path: Path, store: SqliteStore) -> None:
    sql = """SELECT trial_id, outcome, median_s, round(gflops, 3), operator, workload, shapes, device_class,
        device, user, engine, job, model, task, trace(trace), stored FROM log WHERE number = 3"""
    [row] = answer(path, sql, 0).rows
    assert row == (
        "t2", "ok", 0.06, 0.133, "matmul", "w0", "512x256 256x128", "pi4", "pi-1", "ada", "ansor", "net-1", "net",
        "net-1/0", "[[],[2]]", "1970-01-01 00:00:02",
    )  # fmt: skip


def test_the_view_best_has_the_fastest_of_each_workload_and_class(path: Path, store: SqliteStore) -> None:
    answered = answer(path, "SELECT trial_id, operator, device_class, measured FROM best ORDER BY trial_id", 0)
    assert answered.rows == (
        ("t2", "matmul", "pi4", 1), ("t3", "conv2d", "pi4", 2), ("t6", "matmul", "pi5", 1), ("t7", "conv2d", "pi5", 2),
    )  # fmt: skip


def test_what_was_committed_is_seen_while_the_store_is_open(path: Path, store: SqliteStore) -> None:
    count = "SELECT count(*) FROM log"
    assert answer(path, count, 0).rows == ((8,),)
    store.records.add([log_record(8)])
    assert answer(path, count, 0).rows == ((9,),)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM records", "the log can only be read"),
        ("UPDATE words SET word = ''", "the log can only be read"),
        ("INSERT INTO pools VALUES ('a', '{}')", "the log can only be read"),
        ("DROP TABLE records", "the log can only be read"),
        ("CREATE TEMP TABLE t (a)", "the log can only be read"),
        ("ATTACH '/etc/passwd' AS p", "the log can only be read"),
        ("VACUUM INTO '/tmp/copy.db'", "the log can only be read"),
        ("PRAGMA journal_mode = DELETE", "the log can only be read"),
        ("PRAGMA query_only = OFF", "the log can only be read"),
        ("BEGIN IMMEDIATE", "the log can only be read"),
        ("WITH x AS (SELECT 1) DELETE FROM records", "the log can only be read"),
        ("SELECT load_extension('/tmp/x.so')", "the log can only be read"),
        ("SELECT 1; SELECT 2", "write one SELECT, without another one behind it"),
        ("SELECT 1; DELETE FROM records", "write one SELECT, without another one behind it"),
        ("", "that is no question: write a SELECT"),
        ("-- nothing", "that is no question: write a SELECT"),
        ("SELEC 1", 'SQLite does not understand it: near "SELEC": syntax error'),
        ("SELECT colour FROM log", "SQLite does not understand it: no such column: colour"),
        ("SELECT * FROM logs", "SQLite does not understand it: no such table: logs"),
        ("SELECT 1 WHERE ?", "SQLite does not understand it: "),
        ("SELECT '\udcff'", "SQLite does not understand it: "),
    ],
)
def test_what_is_no_question_is_refused_in_one_sentence(path: Path, store: SqliteStore, sql: str, said: str) -> None:
    with sqlite3.connect(path) as db:
        before = list(db.iterdump())
    with pytest.raises(InvalidRequest) as refused:
        answer(path, sql, 0)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)
    with sqlite3.connect(path) as db:
        assert list(db.iterdump()) == before
    db.close()


def test_the_schema_may_be_asked_for(path: Path, store: SqliteStore) -> None:
    columns = answer(path, "PRAGMA table_info(pools)", 0)
    assert [row[1] for row in columns.rows] == ["name", "selector"]
    assert answer(path, "SELECT name FROM sqlite_master WHERE type = 'view' ORDER BY 1", 0).rows == (
        ("best",),
        ("log",),
    )


ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"


def test_an_endless_question_ends(path: Path, store: SqliteStore) -> None:
    with pytest.raises(InvalidRequest, match=r"^that takes longer than 0\.2 s: narrow it, or ask a copy"):
        SqliteLogReader(path, 0.2).sql.answer(ENDLESS.format("max(i)"), 0)


def test_records_are_stored_while_a_question_is_being_asked(path: Path, store: SqliteStore) -> None:
    asked = SqliteLogReader(path, 600.0)
    told: list[str] = []

    def ask() -> None:
        with pytest.raises(InvalidRequest) as ended:
            asked.sql.answer(f"SELECT * FROM records, ({ENDLESS.format('max(i)')})", 0)
        told.append(str(ended.value))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        store.records.add([log_record(8)])
        store.checkpoint()
        assert answer(path, "SELECT count(*) FROM records", 0).rows == ((9,),)
        assert asking.is_alive()
    finally:
        asked.close()
        asking.join(60)
    assert told[0].startswith("that takes longer")


def test_what_is_being_asked_ends_when_the_reader_is_closed(path: Path, store: SqliteStore) -> None:
    asked = SqliteLogReader(path, 60.0)
    asked.close()
    with pytest.raises(InvalidRequest, match="takes longer"):
        asked.sql.answer(ENDLESS.format("max(i)"), 0)


@pytest.mark.parametrize(("limit", "rows", "cut"), [(0, 8, False), (8, 8, False), (7, 7, True), (1, 1, True)])
def test_rows_are_limited(path: Path, store: SqliteStore, limit: int, rows: int, cut: bool) -> None:
    answered = answer(path, "SELECT number FROM records", limit)
    assert (len(answered.rows), answered.cut) == (rows, cut)


def test_an_answer_is_no_larger_than_a_tracker_can_hold(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "MAX_ROWS", 5)
    answered = answer(path, ENDLESS.format("i"), 0)
    assert (answered.rows[-1], answered.cut) == ((5,), True)
    monkeypatch.setattr(log_reader, "MAX_BYTES", 100)
    answered = answer(path, "SELECT hex(zeroblob(30)) FROM records", 4)
    assert (len(answered.rows), answered.cut) == (1, True)


def test_bytes_that_are_no_text_are_told_all_the_same(path: Path, store: SqliteStore) -> None:
    assert answer(path, "SELECT CAST(x'ff41' AS TEXT)", 0).rows == (("\ufffdA",),)
