"""Tables, and how an older store becomes a present one."""

from __future__ import annotations

import json

from sqlite_utils import Database, Migrations

from tvm_farm.tracker.domain import Outcome, TimingPlan, shapes_of
from tvm_farm.tracker.domain.record import form_of
from tvm_farm.tracker.store.encoding import decode, encode_changed
from tvm_farm.tracker.store.sqlite.numbered.packing import digest, pack, pack_secs, unpack
from tvm_farm.tracker.store.sqlite.schema.views import BEST, LOG

__all__ = ["VERSION", "keep_shapes", "migrations"]

migrations = Migrations("tvm-farm")

#: Kept in PRAGMA user_version. One more with each migration below.
VERSION = 13


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m001_first(db: Database) -> None:
    for statement in _M001:
        db.execute(statement)


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m002_more_steps(db: Database) -> None:
    for step in ("searched_s", "building_s", "compiled_s", "received_s", "answered_s"):
        db.execute(f"ALTER TABLE records ADD COLUMN {step} REAL NOT NULL DEFAULT 0")


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m003_words_and_traces_once(db: Database) -> None:
    for name, function in (("digest", digest), ("pack", pack), ("unpack", unpack), ("pack_secs", _secs_of_json)):
        db.conn.create_function(name, -1, function, deterministic=True)
    for statement in _M003:
        db.execute(statement)


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m004_desks(db: Database) -> None:
    # Apart from devices: their rows are written whenever a board was heard, by whoever saw it last.
    db.execute("CREATE TABLE desks (device_id TEXT PRIMARY KEY, value TEXT NOT NULL)")


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m005_groups(db: Database) -> None:
    db.execute("ALTER TABLE jobs ADD COLUMN group_id TEXT NOT NULL DEFAULT ''")
    db.execute("CREATE INDEX jobs_of_group ON jobs (group_id, number) WHERE group_id <> ''")


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m006_spaces(db: Database) -> None:
    db.execute("ALTER TABLE tasks ADD COLUMN space TEXT NOT NULL DEFAULT ''")


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m007_shapes_and_views(db: Database) -> None:
    for statement in _M007:
        db.execute(statement)
    for key, module in db.execute("SELECT key, module FROM workloads").fetchall():
        keep_shapes(db, key, module)


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m008_imports(db: Database) -> None:
    for statement in _M008:
        db.execute(statement)


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m009_searches_and_copies(db: Database) -> None:
    db.conn.create_function("form_of", 1, form_of, deterministic=True)
    for statement in _M009:
        db.execute(statement)


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m010_plans_without_defaults(db: Database) -> None:
    # Written whole, a plan of before a new field is another word than the same plan of after it, and answers nothing.
    plans = db.execute("SELECT number, word FROM words WHERE number IN (SELECT DISTINCT plan FROM records)").fetchall()
    for number, word in plans:
        key = encode_changed(decode(TimingPlan, word))
        same = db.execute("SELECT number FROM words WHERE word = ?", [key]).fetchone()
        if same is None:
            db.execute("UPDATE words SET word = ? WHERE number = ?", [key, number])
        elif same[0] != number:
            db.execute("UPDATE records SET plan = ? WHERE plan = ?", [same[0], number])


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m011_host_faults(db: Database) -> None:
    # What a host could not build began with these words, and was told from a candidate's own fault by them.
    told = "the builder's host: "
    db.execute(
        "UPDATE records SET outcome = ?, detail = substr(detail, ?) WHERE outcome LIKE 'build %' AND detail LIKE ?",
        [Outcome.HOST_FAULT.value, len(told) + 1, f"{told}%"],
    )


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m012_orders(db: Database) -> None:
    db.execute("ALTER TABLE desks RENAME TO orders")


@migrations()  # type: ignore[untyped-decorator,unused-ignore]
def m013_worked_s(db: Database) -> None:
    for name in ("worked_s", "working_since"):
        db.execute(f"ALTER TABLE jobs ADD COLUMN {name} REAL NOT NULL DEFAULT 0")
    # What one rested before it was resumed is not known any more.
    db.execute("UPDATE jobs SET worked_s = finished - started WHERE started > 0 AND finished > started")
    db.execute("UPDATE jobs SET working_since = started WHERE state = 'running'")


def keep_shapes(db: Database, key: str, module: str) -> None:
    """Of a workload that is kept; told twice they are kept once."""
    rows = [
        [key, position, shape.kind.value, shape.dims, shape.dtype] for position, shape in enumerate(shapes_of(module))
    ]
    db.conn.executemany("INSERT INTO shapes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)


def _secs_of_json(text: str) -> bytes:
    return pack_secs(json.loads(text))


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

_WORDS = (
    "task_id", "workload", "workload_name", "target", "device_class", "device_id", "device_name", "runner_mode",
    "engine", "user", "plan", "versions",
)  # fmt: skip
_STEPS = (
    "searched_s", "proposed_s", "building_s", "compiled_s", "built_s", "queued_s", "sent_s", "received_s", "started_s",
    "finished_s", "answered_s", "stored_s",
)  # fmt: skip

# A record of 3 KB becomes one of 0.8: words that many records share, and traces, are kept once.
_M003 = (
    "CREATE TABLE words (number INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)",
    *(
        f"INSERT OR IGNORE INTO words (word) SELECT DISTINCT {column} FROM records WHERE {column} IS NOT NULL"
        for column in _WORDS
    ),
    # See packing: a trace without base is its workload's base.
    """CREATE TABLE traces (
        number INTEGER PRIMARY KEY, workload INTEGER NOT NULL REFERENCES words (number), digest BLOB NOT NULL,
        base INTEGER REFERENCES traces (number), packed BLOB NOT NULL, UNIQUE (workload, digest))""",
    "CREATE UNIQUE INDEX traces_bases ON traces (workload) WHERE base IS NULL",
    """INSERT INTO traces (workload, digest, packed) SELECT w.number, digest(r.trace), pack(r.trace, NULL)
        FROM records r JOIN words w ON w.word = r.workload
        WHERE r.number IN (SELECT min(number) FROM records WHERE trace <> '' GROUP BY workload)""",
    """INSERT OR IGNORE INTO traces (workload, digest, base, packed)
        SELECT w.number, digest(r.trace), b.number, pack(r.trace, unpack(b.packed, NULL))
        FROM records r JOIN words w ON w.word = r.workload
        JOIN traces b ON b.workload = w.number AND b.base IS NULL WHERE r.trace <> ''""",
    "DROP INDEX records_best",
    "DROP INDEX records_of_job",
    "DROP INDEX records_of_task",
    "DROP INDEX records_of_class",
    "ALTER TABLE records RENAME TO old_records",
    # median_s is NULL unless the outcome is ok. Numbers, unless said otherwise, are of words.
    f"""CREATE TABLE records (
        number INTEGER PRIMARY KEY, trial_id TEXT NOT NULL UNIQUE, job INTEGER REFERENCES jobs (number),
        {", ".join(f"{column.removesuffix('_id')} INTEGER" for column in _WORDS)}, outcome TEXT NOT NULL,
        detail TEXT NOT NULL, signal INTEGER NOT NULL, cut_short INTEGER NOT NULL, median_s REAL,
        run_secs BLOB NOT NULL, trace INTEGER REFERENCES traces (number), before TEXT, after TEXT,
        {", ".join(f"{step} REAL NOT NULL" for step in _STEPS)})""",
    f"""INSERT INTO records SELECT r.number, r.trial_id, j.number,
        {", ".join(f"(SELECT number FROM words WHERE word = r.{column})" for column in _WORDS)},
        r.outcome, r.detail, r.signal, 0, r.median_s, pack_secs(r.run_secs), t.number, r.before, r.after,
        {", ".join(f"r.{step}" for step in _STEPS)}
        FROM old_records r LEFT JOIN jobs j ON j.id = r.job_id LEFT JOIN traces t
        ON t.workload = (SELECT number FROM words WHERE word = r.workload) AND t.digest = digest(r.trace)
        ORDER BY r.number""",
    "DROP TABLE old_records",
    # Covers the choice of the best; the few chosen rows alone are read.
    "CREATE INDEX records_best ON records (workload, device_class, median_s, target)",
    "CREATE INDEX records_of_job ON records (job)",
    "CREATE INDEX records_of_class ON records (device_class)",
)

# Apart from workloads: there they would lie behind the module, 50 KB that every search would have to read over.
_M007 = (
    """CREATE TABLE shapes (
        workload TEXT NOT NULL REFERENCES workloads (key), position INTEGER NOT NULL, kind TEXT NOT NULL,
        dims TEXT NOT NULL, dtype TEXT NOT NULL, PRIMARY KEY (workload, position)) WITHOUT ROWID""",
    "CREATE INDEX shapes_by_dims ON shapes (dims, workload)",
    LOG,
    BEST,
)

_M008 = (
    # When and from where records and lines were taken that this farm did not measure.
    """CREATE TABLE imports (
        number INTEGER PRIMARY KEY, source TEXT NOT NULL, imported_s REAL NOT NULL, user TEXT NOT NULL,
        UNIQUE (source, imported_s))""",
    "ALTER TABLE records ADD COLUMN imported INTEGER REFERENCES imports (number)",
    # Lines of logs that cannot be replayed. Apart from records, so that nothing takes one for a measurement. packed:
    # the line, as packing has it.
    """CREATE TABLE history (
        number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, format TEXT NOT NULL, task TEXT NOT NULL,
        target TEXT NOT NULL, device_class TEXT NOT NULL, cost_s REAL NOT NULL, error_no INTEGER NOT NULL,
        measured_s REAL NOT NULL, imported INTEGER NOT NULL REFERENCES imports (number), packed BLOB NOT NULL)""",
)

_M009 = (
    # The trial whose record answered this one; NULL where it was measured.
    "ALTER TABLE records ADD COLUMN copied_from TEXT",
    "ALTER TABLE jobs ADD COLUMN recalled INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX jobs_of_model ON jobs (model_digest)",
    # See domain.SearchStep, whose JSON a step is.
    """CREATE TABLE searches (
        job INTEGER NOT NULL REFERENCES jobs (number), number INTEGER NOT NULL, step TEXT NOT NULL,
        PRIMARY KEY (job, number)) WITHOUT ROWID""",
    # Operators of one kind with other shapes have the same.
    "ALTER TABLE workloads ADD COLUMN form TEXT NOT NULL DEFAULT ''",
    "UPDATE workloads SET form = form_of(name)",
    "CREATE INDEX workloads_of_form ON workloads (form, flops, key)",
    # Copies are no further measurements: the choice of the best leaves them out, by the index alone as before.
    "DROP INDEX records_best",
    "CREATE INDEX records_best ON records (workload, device_class, median_s, target, copied_from)",
    "CREATE INDEX records_of_trace ON records (trace) WHERE trace IS NOT NULL",
    "CREATE INDEX records_untuned ON records (workload, device_class) WHERE trace IS NULL",
    "DROP VIEW best",
    BEST,
)
