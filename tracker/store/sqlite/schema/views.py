"""Views that make the schema readable, for people who ask in SQL. A migration creates them; this program uses none."""

from __future__ import annotations

__all__ = ["BEST", "LOG"]

_WORDS = {
    "task": "task",
    "workload": "workload",
    "operator": "workload_name",
    "target": "target",
    "device_class": "device_class",
    "device": "device_name",
    "device_id": "device",
    "engine": "engine",
    "user": "user",
    "plan": "plan",
    "versions": "versions",
}
# Left joins: SQLite leaves those out whose word no question names, and begins at a word that is asked for.
_JOINED = "\n".join(f"LEFT JOIN words AS {name}_ ON {name}_.number = r.{column}" for name, column in _WORDS.items())

#: A record with its words: a row a measurement.
LOG = f"""CREATE VIEW log AS SELECT r.number, r.trial_id, datetime(r.stored_s, 'unixepoch') AS stored, r.outcome,
    r.median_s, w.flops / r.median_s / 1e9 AS gflops, {", ".join(f"{name}_.word AS {name}" for name in _WORDS)},
    (SELECT group_concat(dims, ' ') FROM (SELECT dims FROM shapes WHERE workload = workload_.word AND kind = 'tensor'
        ORDER BY position)) AS shapes,
    mode_.word AS runner_mode, j.id AS job, j.model_name AS model, j.pool AS pool, r.detail, r.signal, r.cut_short,
    r.trace, r.finished_s - r.started_s AS board_s, r.stored_s
    FROM records r
    {_JOINED}
    LEFT JOIN words AS mode_ ON mode_.number = r.runner_mode
    LEFT JOIN jobs AS j ON j.number = r.job
    LEFT JOIN workloads AS w ON w.key = workload_.word"""

#: The fastest of each workload on each class: of columns beside min() SQLite takes those of the row that has it.
BEST = """CREATE VIEW best AS SELECT workload_.word AS workload, name_.word AS operator, class_.word AS device_class,
    b.median_s, engine_.word AS engine, target_.word AS target, b.measured, r.trial_id
    FROM (SELECT workload, device_class, min(median_s) AS median_s, number, count(*) AS measured FROM records
        WHERE median_s IS NOT NULL AND copied_from IS NULL GROUP BY workload, device_class) b
    JOIN records r ON r.number = b.number
    LEFT JOIN words AS workload_ ON workload_.number = r.workload
    LEFT JOIN words AS name_ ON name_.number = r.workload_name
    LEFT JOIN words AS class_ ON class_.number = r.device_class
    LEFT JOIN words AS engine_ ON engine_.number = r.engine
    LEFT JOIN words AS target_ ON target_.number = r.target"""
