"""What is SQLite's own: indexes, versions, full disks, what a kill leaves, files that shrink; and the state folder."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.records import make_job, make_record, make_tasks
from tests.support.workload_module import workload_module
from tvm_farm.tracker.domain import Outcome, RecordFilter, RecordOrder, Timeline, TimingPlan
from tvm_farm.tracker.domain.errors import StateFolderInUse, StateFolderUnusable, StoreFull, StoreTooNew
from tvm_farm.tracker.domain.imports import Compaction
from tvm_farm.tracker.store import StateFolder
from tvm_farm.tracker.store.sqlite import SqliteStore, schema
from tvm_farm.tracker.store.sqlite.records.queries import (
    best_query,
    bound_query,
    classes_query,
    ordered_query,
    page_query,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tracker.db"


def plan(path: Path, sql: str, values: list[str | float]) -> str:
    with sqlite3.connect(path) as db:
        lines = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    db.close()
    # Older versions of SQLite say rowid for the column that is it.
    return "; ".join(lines).replace("rowid", "number")


def bound(query: RecordFilter) -> tuple[str, list[str | float]]:
    asked = bound_query(query, None, 0, 50)
    assert asked is not None
    return asked


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (best_query("w", "pi4", "", 1), "COVERING INDEX records_best (workload=? AND device_class=? AND median_s>?)"),
        (
            best_query("w", "pi4", "llvm", 1),
            "COVERING INDEX records_best (workload=? AND device_class=? AND median_s>?)",
        ),
        (best_query("w", None, "", 1), "COVERING INDEX records_best (workload=?)"),
        (page_query(RecordFilter(job_id="j"), None, 0, 50), "INDEX records_of_job (job=?)"),
        (page_query(RecordFilter(workload="w"), None, 0, 50), "COVERING INDEX records_best (workload=?)"),
        (
            page_query(RecordFilter(workload="w", newest_first=True), {"c"}, 0, 50),
            "COVERING INDEX records_best (workload=? AND device_class=?)",
        ),
        (page_query(RecordFilter(shapes=("1x2",)), None, 0, 50), "COVERING INDEX records_best (workload=?)"),
        (page_query(RecordFilter(), {"c"}, 0, 50), "INDEX records_of_class (device_class=?)"),
        (
            page_query(RecordFilter(job_id="j", workload="w", device_class="c"), None, 0, 50),
            "INDEX records_of_job (job=?)",
        ),
        (bound(RecordFilter(job_id="j")), "COVERING INDEX records_of_job (job=?)"),
        (bound(RecordFilter(device_class="c", newest_first=True)), "COVERING INDEX records_of_class (device_class=?)"),
        (
            bound(RecordFilter(workload="w", device_class="c")),
            "COVERING INDEX records_best (workload=? AND device_class=?)",
        ),
        (bound(RecordFilter(workload="w")), "COVERING INDEX records_best (workload=?)"),
        (
            ordered_query(RecordFilter(workload="w", device_class="c", order=RecordOrder.LATENCY), None),
            "COVERING INDEX records_best (workload=? AND device_class=? AND median_s>?)",
        ),
        (
            page_query(RecordFilter(job_id="j", newest_first=True), None, 900, 50),
            "INDEX records_of_job (job=? AND number<?)",
        ),
        (page_query(RecordFilter(task_id="t"), None, 5, 50), "INDEX records_of_job (job=? AND number>?)"),
        (page_query(RecordFilter(device_class="c"), None, 0, 50), "INDEX records_of_class (device_class=?)"),
    ],
)
def test_frequent_questions_are_index_lookups(path: Path, query: tuple[str, list[str | float]], index: str) -> None:
    SqliteStore(path).close()
    steps = plan(path, *query)
    assert f"SEARCH records USING {index}" in steps
    assert "SCAN records" not in steps
    # Nothing is sorted but numbers of one workload's records, which its index alone tells.
    if "TEMP B-TREE" in steps:
        assert "COVERING INDEX records_best" in steps


def test_classes_of_a_workload_are_skipped_through(path: Path) -> None:
    SqliteStore(path).close()
    steps = plan(path, *classes_query("w"))
    assert "SEARCH records USING COVERING INDEX records_best (workload=? AND device_class>?)" in steps
    assert "SCAN records" not in steps


def test_a_newer_store_is_refused_and_untouched(path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=f"schema version {schema.VERSION + 1}"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_every_migration_raises_the_version(path: Path) -> None:
    store = SqliteStore(path)
    applied = [m.name for m in schema.migrations.applied(store._file.db)]
    store.close()
    assert len(applied) == schema.VERSION
    SqliteStore(path).close()  # and none is applied twice


@pytest.mark.parametrize("content", [b"this is no database, though it is long enough to be taken for one" * 20])
def test_what_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StateFolderUnusable, match=r"tracker\.db"):
        SqliteStore(path)
    assert path.read_bytes() == content


def compacted(store: SqliteStore, keep: int) -> tuple[Compaction, Compaction]:
    """What it came to before, and after."""
    compactor = store.records.compactor(keep)
    while (plan := compactor.survey()) is None:
        pass
    while not (end := compactor.remove()).done:
        pass
    return plan, end


def limit_pages(store: SqliteStore, extra: int) -> None:
    pages = store._file.db.execute("PRAGMA page_count").fetchone()[0]
    store._file.db.execute(f"PRAGMA max_page_count = {pages + extra}").fetchone()


OLD = Path(__file__).parents[1] / "support" / "store_v1.sql"


def test_a_store_of_the_first_version_is_carried_over(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(OLD.read_text())
    db.close()
    with caplog.at_level(logging.INFO):
        store = SqliteStore(path)
    assert f"becomes version {schema.VERSION}" in caplog.text
    here = {"job_id": "net-1", "task_id": "net-1/0"}
    steps = {"proposed_s": 1.0, "built_s": 2.0, "queued_s": 3.0, "sent_s": 4.0, "started_s": 5.0, "finished_s": 6.0}
    here["timeline"] = Timeline(**steps, stored_s=7.0)
    there = {"workload": "w1", "device_class": "pi5", "device_id": "d2", "device_name": "pi-2", "task_id": "net-1/1"}
    alone = {"runner_mode": None, "versions": {}, "timeline": here["timeline"]}
    records = [
        make_record("u1", engine="untuned", trace="", **here),
        make_record("t1", trace=_old_trace(1, 64), **here),
        make_record("t2", (0.2, 0.05, 0.09), trace=_old_trace(2, 32), **here),
        make_record("t3", (), trace=_old_trace(4, 16), **here),
        make_record("t4", (0.4,), trace=_old_trace(1, 64), **{**here, **there}),
        make_record("t5", (0.4,), trace=_old_trace(2, 32), **alone),
    ]
    assert store.records.page(RecordFilter(), None, 0, 100)[0] == records
    assert [r.trial_id for r in store.records.best(["w0", "w1"], None, "", 1)] == ["t2", "t4"]
    job = store.jobs.get("net-1")
    assert job is not None
    assert [(task.trials, task.best_s, task.space) for task in job.tasks] == [(3, 0.09, ""), (1, 0.4, "")]
    assert (job.group, job.spec.device_class) == ("", "")
    assert [store.records.measured_classes(key) for key in ("w0", "w1")] == [["pi4"], ["pi5"]]
    # It goes on as if it had always been a new one: a known trial, a known trace, a new record.
    again = make_record("t6", trace=_old_trace(1, 64), **here)
    assert store.records.add([records[1], again]) == [records[1], again]
    assert store.records.get("t6") == again
    assert store._file.db.execute("SELECT count(*) FROM traces").fetchone()[0] == 4
    assert not store._file.db.execute("PRAGMA foreign_key_check").fetchall()
    store.close()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        SqliteStore(path).close()
    assert not caplog.text


def test_an_older_store_learns_the_shapes_of_its_workloads(path: Path) -> None:
    store = SqliteStore(path)
    store.jobs.add(make_job(), "")
    tasks = make_tasks()
    module = workload_module([(512, 256), (256, 128)])
    store.jobs.add_tasks("net-1", [replace(tasks[0], workload=replace(tasks[0].workload, module=module)), tasks[1]])
    store.records.add([make_record("t1", job_id="net-1", task_id="net-1/0"), make_record("t2", workload="w1")])
    # As version 6 left it.
    for statement in ("DROP VIEW best", "DROP VIEW log", "DROP TABLE shapes", "PRAGMA user_version = 6"):
        store._file.db.execute(statement)
    store._file.db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm007_shapes_and_views'")
    store._file.db.conn.commit()
    store.close()
    store = SqliteStore(path)
    found, _ = store.records.page(RecordFilter(shapes=("256x128",)), None, 0, 10)
    assert [record.trial_id for record in found] == ["t1"]
    assert store._file.db.execute("SELECT trial_id, shapes FROM log ORDER BY number").fetchall() == [
        ("t1", "512x256 256x128"),
        ("t2", None),
    ]
    # And it is committed.
    assert store.reader().sql.answer("SELECT workload, dims FROM shapes ORDER BY position", 0).rows == (
        ("w0", "512x256"),
        ("w0", "256x128"),
    )
    store.close()


def test_a_job_that_runs_while_the_store_is_carried_over_has_taken_its_time_so_far(path: Path) -> None:
    store = SqliteStore(path)
    for job_id, finished in (("runs", 0.0), ("done", 30.0)):
        store.jobs.add(make_job(job_id, started_unix_s=10.0, finished_unix_s=finished), "")
    # As version 12 left it.
    store._file.db.execute("UPDATE jobs SET state = CASE id WHEN 'runs' THEN 'running' ELSE 'done' END")
    for column in ("worked_s", "working_since"):
        store._file.db.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
    store._file.db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm013_worked_s'")
    store._file.db.execute("PRAGMA user_version = 12")
    store._file.db.conn.commit()
    store.close()
    store = SqliteStore(path)
    assert {job.id: job.took_s(50.0) for job in store.jobs.newest()} == {"runs": 40.0, "done": 20.0}
    store.close()


def _old_trace(first: int, last: int) -> str:
    tiles = '["SamplePerfectTile",["l1"],[4,64],["v1","v2","v3","v4"]]'
    return f'[[["GetSBlock",[],["main","main"],["b0"]],{tiles}],[[1,[{first},1,8,{last}]]]]'


def test_a_trace_is_kept_once_for_its_workload(path: Path) -> None:
    store = SqliteStore(path)
    instructions = ", ".join(f"instruction {n}" for n in range(200))
    traces = [f"[[{instructions}],[[1,[{n},{n}]]]]" for n in (1, 2, 1)]
    records = [make_record(f"t{n}", trace=trace, workload="w0") for n, trace in enumerate(traces)]
    records.append(make_record("t3", trace=traces[0], workload="w1"))
    store.records.add(records)
    assert store.records.page(RecordFilter(), None, 0, 10)[0] == records
    sizes = [row[0] for row in store._file.db.execute("SELECT length(packed) FROM traces ORDER BY base IS NULL")]
    assert len(sizes) == 3
    assert sizes[0] < 100 < min(sizes[1:])
    store.close()


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("led", [{"device_class": "pi4"}, {"workload": "w0"}])
def test_a_search_behind_an_index_is_made_in_steps_too(
    path: Path, monkeypatch: pytest.MonkeyPatch, newest_first: bool, led: dict[str, str]
) -> None:
    monkeypatch.setattr("tvm_farm.tracker.store.sqlite.records.queries.SCAN", 10)
    store = SqliteStore(path)
    elsewhere = {"device_class": "pi5", "workload": "w1"}
    store.records.add(
        [
            make_record(f"t{n:03}", (0.1,) if n % 46 else (), **(elsewhere if n % 2 else {}))  # half are of neither
            for n in range(100)
        ]
    )
    query = RecordFilter(outcome=Outcome.CRASH, newest_first=newest_first, **led)
    found, sizes, after = [], [], 0
    while True:
        page, after = store.records.page(query, None, after, 100)
        found += [record.trial_id for record in page]
        sizes.append(len(page))
        if not after:
            break
    expected = ["t000", "t046", "t092"]
    assert found == (expected[::-1] if newest_first else expected)
    assert len(sizes) == 6  # ten of the fifty at a time, and a last look
    store.close()


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_search_through_all_records_is_made_in_steps(
    path: Path, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr("tvm_farm.tracker.store.sqlite.records.queries.SCAN", 10)
    store = SqliteStore(path)
    store.records.add(
        [make_record(f"t{n:02}", (), signal=n) if n % 23 == 5 else make_record(f"t{n:02}") for n in range(55)]
    )
    query = RecordFilter(outcome=Outcome.CRASH, newest_first=newest_first)
    found, pages, after = [], 0, 0
    while True:
        page, after = store.records.page(query, None, after, 100)
        found += [record.trial_id for record in page]
        pages += 1
        if not after:
            break
    assert found == (["t51", "t28", "t05"] if newest_first else ["t05", "t28", "t51"])
    assert pages == 6
    store.close()


def test_a_full_disk_changes_nothing(path: Path) -> None:
    store = SqliteStore(path)
    store.jobs.add(make_job(), "")
    store.jobs.add_tasks("net-1", make_tasks())
    store.records.add([make_record("t0", job_id="net-1", task_id="net-1/0")])
    limit_pages(store, 2)
    big = [make_record(f"t{n}", job_id="net-1", task_id="net-1/0", trace="x" * 2000) for n in range(1, 50)]
    with pytest.raises(StoreFull, match="full"):
        store.records.add(big)
    job = store.jobs.get("net-1")
    assert job is not None
    assert (job.trials, store.records.of_job("net-1")) == (1, {"t0"})
    limit_pages(store, 10_000)
    store.records.add(big)
    assert len(store.records.of_job("net-1")) == 50
    # Nothing that was rolled back is referred to.
    assert store.records.page(RecordFilter(job_id="net-1"), None, 1, 100)[0] == big
    store.close()


_WRITER = """
import os, sys
from pathlib import Path
from tests.support.records import make_record
from tvm_farm.tracker.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
store.records.add([make_record(f"t{n}") for n in range(100)])
os.kill(os.getpid(), 9)
"""


def test_what_was_stored_survives_a_kill(path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", _WRITER, str(path)], env=env, timeout=60).returncode == -9
    store = SqliteStore(path)
    assert len(store.records.page(RecordFilter(), None, 0, 1000)[0]) == 100
    store.close()


def test_a_state_folder_has_one_holder(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    with pytest.raises(StateFolderInUse, match=f"pid {os.getpid()}"):
        StateFolder(tmp_path / "state")
    folder.release()
    StateFolder(tmp_path / "state").release()


def test_a_state_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StateFolderUnusable, match="state"):
        StateFolder(tmp_path / "state")


def test_an_older_store_is_written_anew_so_that_it_can_shrink(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(OLD.read_text())
    db.close()
    full = shutil._ntuple_diskusage(10**9, 10**9, 0)  # type: ignore[attr-defined]
    with monkeypatch.context() as crowded, caplog.at_level(logging.INFO):
        crowded.setattr(shutil, "disk_usage", lambda _: full)
        store = SqliteStore(path)
        plan, end = compacted(store, 1)
        store.close()
    assert "keeps its size when it is compacted" in caplog.text
    assert (plan.shrinks, end.file_bytes >= plan.file_bytes) == (False, True)
    store = SqliteStore(path)
    assert store.records.compactor(1)._pragma("auto_vacuum") == 2
    store.close()


def test_a_plan_that_was_written_whole_answers_as_one_without_its_defaults(path: Path) -> None:
    """As stores of version 9 wrote them, and older ones with fewer fields: three words for one plan."""
    plan = TimingPlan(number=2, repeat=3)
    store = SqliteStore(path)
    store.records.add([make_record(name, trace="A", plan=plan) for name in ("t1", "t2", "t3")])
    store.close()
    whole = '{"number":2,"repeat":3,"min_repeat_ms":0,"cooldown_ms":0,"repeats_to_cooldown":1,"cache_flush_bytes":0}'
    with sqlite3.connect(path) as db:
        for number, (trial, word) in enumerate(
            (("t1", whole), ("t2", '{"number":2,"repeat":3,"min_repeat_ms":0}')), 900
        ):
            db.execute("INSERT INTO words VALUES (?, ?)", [number, word])
            db.execute("UPDATE records SET plan = ? WHERE trial_id = ?", [number, trial])
        # Somebody's name, which begins as a plan does.
        db.execute("""INSERT INTO words VALUES (990, '{"number":')""")
        db.execute("DELETE FROM _sqlite_migrations WHERE name LIKE 'm010%'")
        db.execute("PRAGMA user_version = 9")
    db.close()
    store = SqliteStore(path)
    record = store.records.get("t1")
    assert record is not None
    assert record.plan == plan
    measurement = record.measurement
    [found] = store.records.alike(record.workload, measurement.device_class, record.target, plan, ["A"])
    assert {each.trial_id for each in found} == {"t1", "t2", "t3"}
    store.close()


def test_a_file_gets_smaller_by_what_was_said(path: Path) -> None:
    store = SqliteStore(path)
    long = [f"[{hashlib.sha256(str(n).encode()).hexdigest() * 8}]" for n in range(3000)]
    store.records.add([make_record(f"t{n}", (0.1 + n,), trace=trace) for n, trace in enumerate(long)])
    plan, end = compacted(store, 100)
    assert plan.shrinks
    freed = plan.file_bytes - end.file_bytes
    assert freed > 0.8 * plan.file_bytes
    assert abs(plan.bytes_to_free - freed) < 0.2 * freed
    store.close()
    assert path.stat().st_size <= end.file_bytes


def test_a_host_that_could_not_build_is_told_by_its_outcome_in_an_older_store_too(path: Path) -> None:
    """As stores of version 10 have it: by how the detail begins, beside what a candidate is to blame for."""
    store = SqliteStore(path)
    cases = {
        "full": (
            Outcome.BUILD_ERROR,
            "the builder's host: OSError: No space left",
            Outcome.HOST_FAULT,
            "OSError: No space left",
        ),
        "late": (Outcome.BUILD_TIMEOUT, "the builder's host: it had not", Outcome.HOST_FAULT, "it had not"),
        "own": (Outcome.BUILD_ERROR, "no such intrinsic", Outcome.BUILD_ERROR, "no such intrinsic"),
        "ran": (Outcome.CRASH, "the builder's host: no build", Outcome.CRASH, "the builder's host: no build"),
    }
    store.records.add([make_record(name, (), outcome=case[0], detail=case[1]) for name, case in cases.items()])
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name LIKE 'm011%'")
        db.execute("PRAGMA user_version = 10")
    db.close()
    store = SqliteStore(path)
    records = [store.records.get(name) for name in cases]
    assert [r and (r.measurement.outcome, r.measurement.detail) for r in records] == [
        case[2:] for case in cases.values()
    ]
    store.close()
