"""Records as tables, as CSV and as JSON."""

from __future__ import annotations

import csv
import statistics
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

import click

from tvm_farm.tracker.cli.terminal.formats import ago, latency, plural
from tvm_farm.tracker.cli.terminal.output import console, print_json_array, table
from tvm_farm.tracker.documents.answer import cell_value, row_documents
from tvm_farm.tracker.domain import Measurement, Record, SqlAnswer

__all__ = ["outcome_of", "print_answer", "print_records", "write_answer_csv", "write_csv"]

#: Of a CSV: the same as in the view `log` where it has them, see tracker/store/README.md.
COLUMNS = (
    "trial_id", "stored", "outcome", "median_s", "operator", "workload", "device", "device_class", "target", "engine",
    "user", "job", "task", "runner_mode", "cut_short", "signal", "run_secs", "detail",
)  # fmt: skip


_ROW = ("workload", "name*", ">latency", "outcome", "device", "engine", "job", "measured")
#: Columns that a narrow screen does without: the others say more of a measurement.
_SPARE = ("workload", "job", "engine", "measured", "device")


def outcome_of(measurement: Measurement) -> str:
    outcome = measurement.outcome.value
    return f"{outcome}, cut short" if measurement.cut_short else outcome


def median_s(record: Record) -> float:
    """0 where there is no timing."""
    times = record.measurement.run_secs
    return statistics.median(times) if times else 0.0


def print_records(found: Iterable[Record], now_s: float, *, as_json: bool = False) -> None:
    """``now_s``: unix seconds by the clock of the records."""
    if as_json:
        print_json_array(found)
        return
    rows = [_row(record, now_s) for record in found]
    if not rows:
        click.echo("No record matches.", err=True)
        return
    console().print(table(_ROW, rows, spare=_SPARE))


def _row(record: Record, now_s: float) -> Sequence[str]:
    measurement = record.measurement
    timeline = measurement.timeline
    # When an imported one was measured is not known by when it was stored here.
    measured_s = timeline.finished_s or (0.0 if record.imported_from else timeline.stored_s)
    return (
        record.workload,
        record.workload_name,
        latency(median_s(record)),
        outcome_of(measurement),
        measurement.device_name or ("imported" if record.imported_from else ""),
        record.engine,
        record.job_id,
        ago(measured_s, now_s),
    )


def write_csv(found: Iterable[Record]) -> None:
    """A line a record as it arrives, after the names of the columns. Timings of one record stand side by side."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in found:
        m = record.measurement
        stored_s = m.timeline.stored_s
        writer.writerow(
            (
                record.trial_id,
                datetime.fromtimestamp(stored_s, timezone.utc).strftime("%Y-%m-%d %H:%M:%S") if stored_s else "",
                m.outcome.value,
                median_s(record) or "",
                record.workload_name,
                record.workload,
                m.device_name,
                m.device_class,
                record.target,
                record.engine,
                record.user,
                record.job_id,
                record.task_id,
                record.runner_mode.value if record.runner_mode else "",
                int(m.cut_short),
                m.signal,
                " ".join(map(repr, m.run_secs)),
                m.detail,
            )
        )


def write_answer_csv(answer: SqlAnswer) -> None:
    """NULL is an empty cell, a blob its bytes in hex."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([[cell_value(value) for value in row] for row in answer.rows])


def print_answer(answer: SqlAnswer, *, as_json: bool) -> None:
    """JSON: an array of objects, a blob as its bytes in hex. A table else."""
    if as_json:
        print_json_array(row_documents(answer))
        return
    if not answer.rows:
        click.echo("No row.", err=True)
        return
    numbers = [all(isinstance(row[n], (int, float, type(None))) for row in answer.rows) for n in _places(answer)]
    columns = [f">{name}" if numbers[n] else f"{name}*" for n, name in enumerate(answer.columns)]
    console().print(table(columns, [[_cell(value) for value in row] for row in answer.rows]))


def _places(answer: SqlAnswer) -> range:
    return range(len(answer.columns))


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return f"({plural(len(value), 'byte')})"
    if isinstance(value, float):
        return f"{value:.1f}" if 1e6 <= abs(value) < 1e15 else f"{value:.6g}"
    return "" if value is None else " ".join(str(value).split())
