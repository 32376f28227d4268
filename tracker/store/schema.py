"""Tables, and how an older store becomes a present one."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

__all__ = ["VERSION", "migrations"]

migrations = Migrations("tvm-farm")

#: Kept in PRAGMA user_version. One more with each migration below.
VERSION = 2


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m001_first(db: Database) -> None:
    for statement in _M001:
        db.execute(statement)


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m002_more_steps(db: Database) -> None:
    for step in ("searched_s", "building_s", "compiled_s", "received_s", "answered_s"):
        db.execute(f"ALTER TABLE records ADD COLUMN {step} REAL NOT NULL DEFAULT 0")


_M001 = (
    """CREATE TABLE devices (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, device_class TEXT NOT NULL, target TEXT NOT NULL,
        last_heard REAL NOT NULL, measured INTEGER NOT NULL, value TEXT NOT NULL)""",
    "CREATE TABLE pools (name TEXT PRIMARY KEY, selector TEXT NOT NULL)",
    """CREATE TABLE jobs (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, request_id TEXT UNIQUE, state TEXT NOT NULL,
        kind TEXT NOT NULL, model_name TEXT NOT NULL, model_digest TEXT NOT NULL, pool TEXT NOT NULL,
        engine TEXT NOT NULL, user TEXT NOT NULL, spec TEXT NOT NULL, phase TEXT NOT NULL, error TEXT NOT NULL,
        input_error INTEGER NOT NULL, created REAL NOT NULL, started REAL NOT NULL, finished REAL NOT NULL,
        tuned_for_s REAL NOT NULL, target TEXT NOT NULL, device_class TEXT NOT NULL, worker_id TEXT NOT NULL,
        result TEXT, trials INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0,
        trials_at_loss INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX jobs_by_state ON jobs (state, number)",
    """CREATE TABLE workloads (
        key TEXT PRIMARY KEY, name TEXT NOT NULL, module TEXT NOT NULL, flops REAL NOT NULL)""",
    """CREATE TABLE tasks (
        id TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs (id), position INTEGER NOT NULL, name TEXT NOT NULL,
        workload TEXT NOT NULL REFERENCES workloads (key), weight INTEGER NOT NULL,
        trials INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, untuned_s REAL NOT NULL DEFAULT 0,
        best_s REAL NOT NULL DEFAULT 0)""",
    "CREATE INDEX tasks_of_job ON tasks (job_id, position)",
    # median_s and min_s are NULL unless the outcome is ok.
    """CREATE TABLE records (
        number INTEGER PRIMARY KEY, trial_id TEXT NOT NULL UNIQUE, job_id TEXT REFERENCES jobs (id),
        task_id TEXT NOT NULL, workload TEXT NOT NULL, workload_name TEXT NOT NULL, target TEXT NOT NULL,
        device_class TEXT NOT NULL, device_id TEXT NOT NULL, device_name TEXT NOT NULL, runner_mode TEXT,
        engine TEXT NOT NULL, user TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL, signal INTEGER NOT NULL,
        median_s REAL, min_s REAL, run_secs TEXT NOT NULL, trace TEXT NOT NULL, plan TEXT NOT NULL,
        versions TEXT NOT NULL, before TEXT, after TEXT,
        proposed_s REAL NOT NULL, built_s REAL NOT NULL, queued_s REAL NOT NULL, sent_s REAL NOT NULL,
        started_s REAL NOT NULL, finished_s REAL NOT NULL, stored_s REAL NOT NULL)""",
    "CREATE INDEX records_best ON records (workload, device_class, median_s) WHERE outcome = 'ok'",
    "CREATE INDEX records_of_job ON records (job_id, number)",
    "CREATE INDEX records_of_task ON records (task_id, number)",
    "CREATE INDEX records_of_class ON records (device_class, number)",
)
