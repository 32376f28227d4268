"""Questions beside the thread that writes: orders that no index has, SQL of people, and that neither does harm."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.records import make_job, make_record
from tests.support.workload_module import workload_module
from tvm_farm.tracker.domain import Outcome, Record, RecordFilter, RecordOrder, SqlAnswer, TaskPlan, Workload
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.store import LogReader, SqliteStore, reader

MATMUL = workload_module([(512, 256), (256, 128)], [[(512, False), (128, False), (256, True)]])
CONV = workload_module([(1, 4, 56, 56, 16), (1, 4, 56, 56, 16)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tracker.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Open while it is asked, as of a running tracker. Eight records: t0 and t4 crashed, t6 was on no board."""
    store = SqliteStore(path)
    store.jobs.add(make_job("net-1"), "")
    workloads = [Workload("w0", "matmul", MATMUL, 8e6), Workload("w1", "conv2d", CONV, 1e6)]
    store.jobs.add_tasks("net-1", [TaskPlan(f"net-1/{n}", w.name, 1, w) for n, w in enumerate(workloads)])
    store.records.add([_record(n) for n in range(8)])
    yield store
    store.close()


def _record(n: int) -> Record:
    times = make_record("").measurement.timeline
    seconds = (0.01 * (8 - n),) if n % 4 else ()
    return make_record(
        f"t{n}",
        seconds,
        job_id="net-1",
        task_id=f"net-1/{n % 2}",
        workload=f"w{n % 2}",
        workload_name=("matmul", "conv2d")[n % 2],
        user="ada" if n < 5 else "bob",
        trace=f"[[],[{n % 3}]]",
        device_class="pi4" if n < 4 else "pi5",
        timeline=replace(times, started_s=0.0 if n == 6 else 100.0, finished_s=100.0 + n, stored_s=float(n)),
    )


def ordered(path: Path, store: SqliteStore, order: RecordOrder, **query: Any) -> list[str]:
    numbers = LogReader(path).numbers(RecordFilter(order=order, **query), None)
    return [record.trial_id for record in store.records.numbered(numbers)]


@pytest.mark.parametrize(
    ("order", "query", "trials"),
    [
        (RecordOrder.LATENCY, {}, ["t7", "t6", "t5", "t3", "t2", "t1"]),
        (RecordOrder.LATENCY, {"reverse": True}, ["t1", "t2", "t3", "t5", "t6", "t7"]),
        (RecordOrder.LATENCY, {"limit": 2}, ["t7", "t6"]),
        (RecordOrder.LATENCY, {"workload": "w0"}, ["t6", "t2"]),
        (RecordOrder.LATENCY, {"shapes": ("1x64x56x56",)}, ["t7", "t5", "t3", "t1"]),
        (RecordOrder.LATENCY, {"user": "bob", "job_id": "net-1"}, ["t7", "t6", "t5"]),
        (RecordOrder.LATENCY, {"device_class": "pi4"}, ["t3", "t2", "t1"]),
        # A matrix product does eight times the work of a convolution here.
        (RecordOrder.THROUGHPUT, {}, ["t6", "t2", "t7", "t5", "t3", "t1"]),
        (RecordOrder.THROUGHPUT, {"reverse": True, "limit": 1}, ["t1"]),
        (RecordOrder.BOARD_TIME, {}, ["t7", "t5", "t4", "t3", "t2", "t1", "t0"]),
        (RecordOrder.BOARD_TIME, {"outcome": Outcome.CRASH}, ["t4", "t0"]),
    ],
)
def test_orders(path: Path, store: SqliteStore, order: RecordOrder, query: dict[str, Any], trials: list[str]) -> None:
    assert ordered(path, store, order, **query) == trials


def test_classes_of_a_pool_narrow_an_order(path: Path, store: SqliteStore) -> None:
    wanted = RecordFilter(order=RecordOrder.LATENCY)
    assert len(LogReader(path).numbers(wanted, {"pi5", "pi6"})) == 3
    assert LogReader(path).numbers(wanted, set()) == []


def test_records_that_are_gone_are_left_out(store: SqliteStore) -> None:
    assert [record.trial_id for record in store.records.numbered([5, 99, 2])] == ["t4", "t1"]


def test_an_answer_has_columns_and_rows_of_every_type(path: Path, store: SqliteStore) -> None:
    answer = LogReader(path).answer("SELECT 1 AS one, 2.5, 'three', x'04', NULL, 9223372036854775807", 0)
    assert answer == SqlAnswer(
        ("one", "2.5", "'three'", "x'04'", "NULL", "9223372036854775807"),
        ((1, 2.5, "three", b"\x04", None, 2**63 - 1),),
    )


def test_the_log_is_words_and_not_numbers(path: Path, store: SqliteStore) -> None:
    sql = """SELECT trial_id, outcome, median_s, round(gflops, 3), operator, workload, shapes, device_class,
        device, user, engine, job, model, task, trace(trace), stored FROM log WHERE number = 3"""
    [row] = LogReader(path).answer(sql, 0).rows
    assert row == (
        "t2", "ok", 0.06, 0.133, "matmul", "w0", "512x256 256x128", "pi4", "pi-1", "ada", "ansor", "net-1", "net",
        "net-1/0", "[[],[2]]", "1970-01-01 00:00:02",
    )  # fmt: skip


def test_the_view_best_has_the_fastest_of_each_workload_and_class(path: Path, store: SqliteStore) -> None:
    answer = LogReader(path).answer("SELECT trial_id, operator, device_class, measured FROM best ORDER BY trial_id", 0)
    assert answer.rows == (
        ("t2", "matmul", "pi4", 1), ("t3", "conv2d", "pi4", 2), ("t6", "matmul", "pi5", 1), ("t7", "conv2d", "pi5", 2),
    )  # fmt: skip


def test_what_was_committed_is_seen_while_the_store_is_open(path: Path, store: SqliteStore) -> None:
    count = "SELECT count(*) FROM log"
    assert LogReader(path).answer(count, 0).rows == ((8,),)
    store.records.add([_record(8)])
    assert LogReader(path).answer(count, 0).rows == ((9,),)


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
        LogReader(path).answer(sql, 0)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)
    with sqlite3.connect(path) as db:
        assert list(db.iterdump()) == before
    db.close()


def test_the_schema_may_be_asked_for(path: Path, store: SqliteStore) -> None:
    columns = LogReader(path).answer("PRAGMA table_info(pools)", 0)
    assert [row[1] for row in columns.rows] == ["name", "selector"]
    assert LogReader(path).answer("SELECT name FROM sqlite_master WHERE type = 'view' ORDER BY 1", 0).rows == (
        ("best",),
        ("log",),
    )


ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"


def test_an_endless_question_ends(path: Path, store: SqliteStore) -> None:
    with pytest.raises(InvalidRequest, match=r"^that takes longer than 0\.2 s: narrow it, or ask a copy"):
        LogReader(path, seconds=0.2).answer(ENDLESS.format("max(i)"), 0)


def test_records_are_stored_while_a_question_is_being_asked(path: Path, store: SqliteStore) -> None:
    asked = LogReader(path, seconds=600.0)
    told: list[str] = []

    def ask() -> None:
        with pytest.raises(InvalidRequest) as ended:
            asked.answer(f"SELECT * FROM records, ({ENDLESS.format('max(i)')})", 0)
        told.append(str(ended.value))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        store.records.add([_record(8)])
        store.checkpoint()
        assert LogReader(path).answer("SELECT count(*) FROM records", 0).rows == ((9,),)
        assert asking.is_alive()
    finally:
        asked.close()
        asking.join(60)
    assert told[0].startswith("that takes longer")


def test_what_is_being_asked_ends_when_the_reader_is_closed(path: Path, store: SqliteStore) -> None:
    asked = LogReader(path, seconds=60.0)
    asked.close()
    with pytest.raises(InvalidRequest, match="takes longer"):
        asked.answer(ENDLESS.format("max(i)"), 0)


@pytest.mark.parametrize(("limit", "rows", "cut"), [(0, 8, False), (8, 8, False), (7, 7, True), (1, 1, True)])
def test_rows_are_limited(path: Path, store: SqliteStore, limit: int, rows: int, cut: bool) -> None:
    answer = LogReader(path).answer("SELECT number FROM records", limit)
    assert (len(answer.rows), answer.cut) == (rows, cut)


def test_an_answer_is_no_larger_than_a_tracker_can_hold(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_ROWS", 5)
    answer = LogReader(path).answer(ENDLESS.format("i"), 0)
    assert (answer.rows[-1], answer.cut) == ((5,), True)
    monkeypatch.setattr(reader, "MAX_BYTES", 100)
    answer = LogReader(path).answer("SELECT hex(zeroblob(30)) FROM records", 4)
    assert (len(answer.rows), answer.cut) == (1, True)


def test_bytes_that_are_no_text_are_told_all_the_same(path: Path, store: SqliteStore) -> None:
    assert LogReader(path).answer("SELECT CAST(x'ff41' AS TEXT)", 0).rows == (("\ufffdA",),)
