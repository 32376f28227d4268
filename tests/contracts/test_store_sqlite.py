"""What is SQLite's own: indexes, versions, full disks, locks, what a kill leaves."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.records import make_job, make_record, make_tasks
from tracker.domain import RecordFilter
from tracker.domain.errors import StateFolderInUse, StateFolderUnusable, StoreFull, StoreTooNew
from tracker.store import SqliteStore, StateFolder, schema
from tracker.store.records import best_query, page_query


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tracker.db"


def plan(path: Path, sql: str, values: list[str | float]) -> str:
    with sqlite3.connect(path) as db:
        lines = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    db.close()
    # Older versions of SQLite say rowid for the column that is it.
    return "; ".join(lines).replace("rowid", "number")


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (best_query("w", "pi4", "", 1), "records_best (workload=? AND device_class=?)"),
        (best_query("w", "pi4", "llvm", 1), "records_best (workload=? AND device_class=?)"),
        (best_query("w", None, "", 1), "records_best (workload=?)"),
        (page_query(RecordFilter(job_id="j"), None, 0, 50), "records_of_job (job_id=?)"),
        (
            page_query(RecordFilter(job_id="j", newest_first=True), None, 900, 50),
            "records_of_job (job_id=? AND number<?)",
        ),
        (page_query(RecordFilter(task_id="t"), None, 5, 50), "records_of_task (task_id=? AND number>?)"),
        (page_query(RecordFilter(device_class="c"), None, 0, 50), "records_of_class (device_class=?)"),
    ],
)
def test_frequent_questions_are_index_lookups(path: Path, query: tuple[str, list[str | float]], index: str) -> None:
    SqliteStore(path).close()
    steps = plan(path, *query)
    assert f"SEARCH records USING INDEX {index}" in steps
    if "device_class=?" in index or "number" in index:
        assert "TEMP B-TREE" not in steps


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
    applied = [m.name for m in schema.migrations.applied(store._db)]
    store.close()
    assert len(applied) == schema.VERSION
    SqliteStore(path).close()  # and none is applied twice


@pytest.mark.parametrize("content", [b"this is no database, though it is long enough to be taken for one" * 20])
def test_what_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StateFolderUnusable, match=r"tracker\.db"):
        SqliteStore(path)
    assert path.read_bytes() == content


def limit_pages(store: SqliteStore, extra: int) -> None:
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + extra}").fetchone()


def test_a_full_disk_changes_nothing(path: Path) -> None:
    store = SqliteStore(path)
    store.add_job(make_job(), "")
    store.add_tasks("net-1", make_tasks())
    store.add_records([make_record("t0", job_id="net-1", task_id="net-1/0")])
    limit_pages(store, 2)
    big = [make_record(f"t{n}", job_id="net-1", task_id="net-1/0", trace="x" * 2000) for n in range(1, 50)]
    with pytest.raises(StoreFull, match="full"):
        store.add_records(big)
    job = store.job("net-1")
    assert job is not None
    assert (job.trials, store.trial_ids("net-1")) == (1, {"t0"})
    limit_pages(store, 10_000)
    store.add_records(big)
    assert len(store.trial_ids("net-1")) == 50
    store.close()


_WRITER = """
import os, sys
from tests.support.records import make_record
from tracker.store import SqliteStore
store = SqliteStore(sys.argv[1])
store.add_records([make_record(f"t{n}") for n in range(100)])
os.kill(os.getpid(), 9)
"""


def test_what_was_stored_survives_a_kill(path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", _WRITER, str(path)], env=env, timeout=60).returncode == -9
    store = SqliteStore(path)
    assert len(store.records(RecordFilter(), None, 0, 1000)[0]) == 100
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
