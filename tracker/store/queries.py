"""SQL of the questions to the records, with its values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from tracker.domain import RecordFilter, Timeline

__all__ = ["COLUMNS", "STEPS", "best_query", "classes_query", "has_index", "page_query"]

STEPS = tuple(field.name for field in fields(Timeline))
COLUMNS = (
    "trial_id", "job", "task", "workload", "workload_name", "target", "device_class", "device", "device_name",
    "runner_mode", "engine", "user", "plan", "versions", "outcome", "detail", "signal", "cut_short", "median_s",
    "run_secs", "trace", "before", "after", "copied_from", *STEPS,
)  # fmt: skip
_WORD = "(SELECT number FROM words WHERE word = ?)"


def has_index(query: RecordFilter, classes: Collection[str] | None) -> bool:
    """Whether an index leads to the records in question; else they are looked for among all."""
    return bool(query.job_id or query.task_id or query.workload or query.device_class or classes is not None)


def page_query(
    query: RecordFilter, classes: Collection[str] | None, after: int, limit: int, until: int | None = None
) -> tuple[str, list[str | float]]:
    """SQL and its values for a page: its first column is the record's number, the others are COLUMNS.

    ``until``: the last number that is looked at, in the direction of the query.
    """
    terms: list[str] = []
    values: list[str | float] = []

    def where(term: str, *term_values: str | float) -> None:
        terms.append(term)
        values.extend(term_values)

    if query.job_id:
        where("job = (SELECT number FROM jobs WHERE id = ?)", query.job_id)
    if query.task_id:
        # An index of tasks would cost every insert; that of jobs leads close enough.
        job = "SELECT number FROM jobs WHERE id = (SELECT job_id FROM tasks WHERE id = ?)"
        where(f"job = ({job}) AND task = {_WORD}", query.task_id, query.task_id)
    words = {"workload": query.workload, "device_class": query.device_class}
    for column, word in {**words, "engine": query.engine, "target": query.target}.items():
        if word:
            where(f"{column} = {_WORD}", word)
    if query.device:
        where(f"(device = {_WORD} OR device_name = {_WORD})", query.device, query.device)
    if query.outcome:
        where("outcome = ?", query.outcome.value)
    if query.since_unix_s:
        where("stored_s >= ?", query.since_unix_s)
    if query.workload_name:
        where("workload_name IN (SELECT number FROM words WHERE instr(word, ?) > 0)", query.workload_name)
    if classes is not None:
        where(f"device_class IN (SELECT number FROM words WHERE word IN ({_marks(classes)}))", *sorted(classes))
    if after:
        where("number < ?" if query.newest_first else "number > ?", after)
    if until is not None:
        where("number >= ?" if query.newest_first else "number <= ?", until)
    condition = f"WHERE {' AND '.join(terms)}" if terms else ""
    order = "DESC" if query.newest_first else "ASC"
    sql = f"SELECT number, {', '.join(COLUMNS)} FROM records {condition} ORDER BY number {order} LIMIT ?"
    return sql, [*values, limit]


def best_query(workload: str, device_class: str | None, target: str, limit: int) -> tuple[str, list[str | int]]:
    """SQL and its values for the fastest records of one workload, in any order: their columns are COLUMNS."""
    # What was copied from the log is in it already.
    terms, values = ["median_s IS NOT NULL", "copied_from IS NULL", f"workload = {_WORD}"], [workload]
    if device_class is not None:
        terms.append(f"device_class = {_WORD}")
        values.append(device_class)
    if target:
        terms.append(f"target = {_WORD}")
        values.append(target)
    # The index alone decides; only what was chosen is read.
    chosen = f"SELECT number FROM records WHERE {' AND '.join(terms)} ORDER BY median_s LIMIT ?"
    return f"SELECT {', '.join(COLUMNS)} FROM records WHERE number IN ({chosen})", [*values, limit]


def classes_query(workload: str) -> tuple[str, list[str]]:
    """SQL and its values for the device classes with an OK record of ``workload``, in their order."""
    # Skips from one class to the next in the index instead of reading every record.
    records = f"FROM records WHERE median_s IS NOT NULL AND workload = {_WORD}"
    first = f"SELECT device_class {records} ORDER BY device_class LIMIT 1"
    following = f"SELECT device_class {records} AND device_class > c.found ORDER BY device_class LIMIT 1"
    sql = f"""WITH RECURSIVE c (found) AS (SELECT ({first}) UNION ALL
        SELECT ({following}) FROM c WHERE c.found IS NOT NULL)
        SELECT word FROM c JOIN words ON words.number = c.found ORDER BY word"""
    return sql, [workload, workload]


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
