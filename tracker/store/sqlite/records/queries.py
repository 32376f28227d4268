"""SQL of the questions to the records, with its values."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Sized
from dataclasses import fields

from tvm_farm.tracker.domain import RecordFilter, RecordOrder, Timeline
from tvm_farm.tracker.store.base import NEWEST_ALIKE

__all__ = [
    "COLUMNS",
    "SAME_TRACE",
    "SAME_UNTUNED",
    "SCAN",
    "STEPS",
    "best_query",
    "bound_query",
    "classes_query",
    "numbered_query",
    "ordered_query",
    "page_query",
]

STEPS = tuple(field.name for field in fields(Timeline))
COLUMNS = (
    "trial_id", "job", "task", "workload", "workload_name", "target", "device_class", "device", "device_name",
    "runner_mode", "engine", "user", "plan", "versions", "outcome", "detail", "signal", "cut_short", "median_s",
    "run_secs", "trace", "before", "after", "copied_from", *STEPS, "imported",
)  # fmt: skip
_WORD = "(SELECT number FROM words WHERE word = ?)"


#: Records that are looked at for one page, whatever the question: at most about 50 ms.
SCAN = 20_000

_OF_SHAPE = "SELECT w.number FROM shapes s JOIN words w ON w.word = s.workload WHERE s.dims = ?"
# Behind LIMIT it is computed once and not for each record: a workload's figures lie behind 50 KB of its module. CROSS:
# records are read as they lie, or as their index leads, and not workload by workload.
_FLOPS = """CROSS JOIN (SELECT w.number AS flops_of, flops FROM workloads JOIN words w ON w.word = key LIMIT -1)
    ON flops_of = workload"""
_ORDERS = {
    RecordOrder.LATENCY: ("", "median_s IS NOT NULL", "median_s", "ASC"),
    RecordOrder.THROUGHPUT: (_FLOPS, "median_s IS NOT NULL", "flops / median_s", "DESC"),
    RecordOrder.BOARD_TIME: ("", "started_s > 0", "finished_s - started_s", "DESC"),
}
# By number the newest first, which the index on traces gives as it is; that on classes would be read whole.
_SAME = f"""SELECT {", ".join(COLUMNS)} FROM records INDEXED BY {{}} WHERE {{}}
    AND +device_class = ? AND +target = ? AND +plan = ? AND engine {{}} ? AND imported IS NULL
    ORDER BY number DESC LIMIT {NEWEST_ALIKE}"""
#: The newest records of one candidate, by the numbers of its trace or, untuned, of its workload; then class, target,
#: plan and BASELINE.
SAME_TRACE = _SAME.format("records_of_trace", "trace = ?", "IS NOT")
SAME_UNTUNED = _SAME.format("records_untuned", "trace IS NULL AND workload = ?", "IS")
Values = list[str | float]


class _Terms:
    def __init__(self) -> None:
        self.terms: list[str] = []
        self.values: Values = []

    def add(self, term: str, *values: str | float) -> None:
        self.terms.append(term)
        self.values += values

    def extend(self, other: _Terms) -> _Terms:
        self.terms += other.terms
        self.values += other.values
        return self

    @property
    def where(self) -> str:
        return f"WHERE {' AND '.join(self.terms)}" if self.terms else ""


def page_query(
    query: RecordFilter, classes: Collection[str] | None, after: int, limit: int, until: int | None = None
) -> tuple[str, Values]:
    """SQL and its values for a page: its first column is the record's number, the others are COLUMNS.

    ``until``: the last number that is looked at, in the direction of the query.
    """
    led, rest = _led(query, classes), _rest(query, classes)
    if _by_workload(query):
        # That index knows no order of numbers: they are sorted first, alone, and what was chosen is read.
        window = led.extend(_window(query, after, until))
        terms = _Terms()
        terms.add(f"number IN (SELECT number FROM records {window.where})", *window.values)
        terms.extend(rest)
    else:
        terms = led.extend(rest).extend(_window(query, after, until))
    sql = f"SELECT number, {', '.join(COLUMNS)} FROM records {terms.where} ORDER BY number {_direction(query)} LIMIT ?"
    return sql, [*terms.values, limit]


def bound_query(
    query: RecordFilter, classes: Collection[str] | None, after: int, looked_at: int
) -> tuple[str, Values] | None:
    """SQL and its values for the number of the last of ``looked_at`` records, from the index that leads to them.

    None where no index does: then all numbers are looked through.
    """
    terms = _led(query, classes)
    if not terms.terms:
        return None
    terms.extend(_window(query, after, None))
    # A plus: else the index of a class, which has this order, is taken for that of a workload in it, which is short.
    number = "+number" if _by_workload(query) else "number"
    sql = f"SELECT number FROM records {terms.where} ORDER BY {number} {_direction(query)} LIMIT 1 OFFSET ?"
    return sql, [*terms.values, looked_at - 1]


def ordered_query(query: RecordFilter, classes: Collection[str] | None) -> tuple[str, Values]:
    """SQL and its values for the numbers of all records in the order that ``query`` asks for, at most its limit."""
    assert query.order is not None
    join, known, key, direction = _ORDERS[query.order]
    if query.reverse:
        direction = "ASC" if direction == "DESC" else "DESC"
    terms = _led(query, classes).extend(_rest(query, classes))
    terms.add(known)
    sql = f"SELECT records.number FROM records {join} {terms.where} ORDER BY {key} {direction}, records.number LIMIT ?"
    return sql, [*terms.values, query.limit or -1]


def numbered_query(numbers: Sequence[int]) -> str:
    """SQL for records by their numbers, in any order: the first column is the number, the others are COLUMNS."""
    return f"SELECT number, {', '.join(COLUMNS)} FROM records WHERE number IN ({_marks(numbers)})"


def _by_workload(query: RecordFilter) -> bool:
    return bool(query.workload or query.shapes) and not (query.job_id or query.task_id)


def _direction(query: RecordFilter) -> str:
    return "DESC" if query.newest_first else "ASC"


def _window(query: RecordFilter, after: int, until: int | None) -> _Terms:
    terms = _Terms()
    if after:
        terms.add("number < ?" if query.newest_first else "number > ?", after)
    if until is not None:
        terms.add("number >= ?" if query.newest_first else "number <= ?", until)
    return terms


def _one_class(query: RecordFilter, classes: Collection[str] | None) -> str:
    """The class that all records in question are of, as far as one index tells."""
    return query.device_class or (next(iter(classes)) if classes is not None and len(classes) == 1 else "")


def _led(query: RecordFilter, classes: Collection[str] | None) -> _Terms:
    """What one index answers."""
    terms = _Terms()
    if query.job_id:
        terms.add("job = (SELECT number FROM jobs WHERE id = ?)", query.job_id)
    elif query.task_id:
        # An index of tasks would cost every insert; that of jobs leads close enough.
        job = "SELECT number FROM jobs WHERE id = (SELECT job_id FROM tasks WHERE id = ?)"
        terms.add(f"job = ({job})", query.task_id)
    elif _by_workload(query):
        if query.workload:
            terms.add(f"workload = {_WORD}", query.workload)
        for shape in query.shapes:
            terms.add(f"workload IN ({_OF_SHAPE})", shape)
        if device_class := _one_class(query, classes):
            terms.add(f"device_class = {_WORD}", device_class)
    elif device_class := _one_class(query, classes):
        terms.add(f"device_class = {_WORD}", device_class)
    return terms


def _rest(query: RecordFilter, classes: Collection[str] | None) -> _Terms:
    """What is then asked of each record."""
    terms = _Terms()
    if query.task_id:
        terms.add(f"task = {_WORD}", query.task_id)
    # A plus keeps SQLite from another index than the one that leads.
    words = {"+workload": query.workload, "+device_class": query.device_class, "engine": query.engine}
    for column, word in {**words, "target": query.target, "user": query.user}.items():
        if word:
            terms.add(f"{column} = {_WORD}", word)
    for shape in query.shapes:
        terms.add(f"+workload IN ({_OF_SHAPE})", shape)
    if query.device:
        terms.add(f"(device = {_WORD} OR device_name = {_WORD})", query.device, query.device)
    if query.outcome:
        terms.add("outcome = ?", query.outcome.value)
    if query.since_unix_s:
        terms.add("stored_s >= ?", query.since_unix_s)
    if query.workload_name:
        terms.add("workload_name IN (SELECT number FROM words WHERE instr(word, ?) > 0)", query.workload_name)
    if classes is not None:
        terms.add(f"+device_class IN (SELECT number FROM words WHERE word IN ({_marks(classes)}))", *sorted(classes))
    return terms


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


def _marks(values: Sized) -> str:
    return ", ".join("?" * len(values))
