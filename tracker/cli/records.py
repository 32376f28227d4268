"""``farm records``: the tuning log, every measurement ever made."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from tracker.cli.connection import Connection, connection_options
from tracker.cli.devices import one_device
from tracker.cli.formats import plural
from tracker.cli.groups import LazyGroup
from tracker.cli.options import json_option
from tracker.cli.parsing import DURATION
from tracker.client.errors import BadInput

if TYPE_CHECKING:
    from tracker.client.farm_client import FarmClient
    from tracker.domain import Measurement, Record, RecordFilter

__all__ = ["records"]


@click.group(
    cls=LazyGroup,
    lazy={
        "best": "tracker.cli.records:best",
        "query": "tracker.cli.records:query",
        "export": "tracker.cli.export:export",
        "import": "tracker.cli.importing:import_log",
        "history": "tracker.cli.history:history",
        "merge": "tracker.cli.merging:merge",
        "compact": "tracker.cli.compacting:compact",
    },
)
def records() -> None:
    """Query the tuning log: what was measured, where, how fast."""


@records.command("best")
@click.option("--workload", "workloads", multiple=True, metavar="KEY", help="A workload's key; several may be given.")
@click.option("--pool", default="", help="Measured on device classes of this pool.")
@click.option("--device-class", default="", help="Measured on this device class.")
@click.option("--target", default="", metavar="JSON", help="Built for exactly this target.")
@click.option(
    "-n",
    "--per-workload",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="How many of each workload.",
)
@json_option
@connection_options()
def best(
    workloads: tuple[str, ...],
    pool: str,
    device_class: str,
    target: str,
    per_workload: int,
    as_json: bool,
    connection: Connection,
) -> None:
    """Show the fastest known schedule of each workload.

    \b
    Example:
      farm records best --pool arm64 --json > best.json
    """
    with connection.open() as client:
        found = client.best_records(
            workloads, pool=pool, device_class=device_class, target=target, per_workload=per_workload
        )
    _print(found, as_json)


@records.command("query")
@click.option("--job", "job_id", default="", metavar="ID", help="Of this job; the start of its id will do.")
@click.option("--task", "task_id", default="", metavar="ID", help="Of this task: JOB/NUMBER.")
@click.option("--workload", default="", metavar="KEY", help="Of this workload.")
@click.option(
    "--name", "workload_name", default="", metavar="TEXT", help="Whose workload's name has this in it: conv2d."
)
@click.option("--pool", default="", help="Measured on device classes of this pool.")
@click.option("--device", default="", help="Measured on this device: name or id, or the start of either.")
@click.option("--device-class", default="", help="Measured on this device class.")
@click.option("--target", default="", metavar="JSON", help="Built for exactly this target.")
@click.option("--engine", default="", help='Proposed by this engine; "untuned" for baselines.')
@click.option("--outcome", metavar="OUTCOME", help='"ok", "run timeout", "crash", …')
@click.option("--since", "since_s", type=DURATION, help="Of the last 30m, 2h, 7d.")
@click.option(
    "--limit", type=click.IntRange(0), metavar="N", default=50, show_default=True, help="At most so many; 0 for all."
)
@click.option("--oldest-first", is_flag=True, help="Start at the beginning of the log, not at its end.")
@json_option
@connection_options()
def query(
    job_id: str,
    task_id: str,
    workload: str,
    workload_name: str,
    pool: str,
    device: str,
    device_class: str,
    target: str,
    engine: str,
    outcome: str | None,
    since_s: float | None,
    limit: int,
    oldest_first: bool,
    as_json: bool,
    connection: Connection,
) -> None:
    """List measurements, newest first; failed ones too.

    \b
    Example:
      farm records query --job squeezenet-ab2c --outcome "run timeout" --limit 0 --json
    """
    from tracker.domain import Outcome, RecordFilter

    known = {value.value: value for value in Outcome}
    if outcome is not None and outcome not in known:
        raise BadInput(f"--outcome: there is no outcome '{outcome}'; there are: {', '.join(known)}.")
    wanted = RecordFilter(
        job_id=job_id,
        task_id=task_id,
        workload=workload,
        workload_name=workload_name,
        pool=pool,
        device=device,
        device_class=device_class,
        target=target,
        engine=engine,
        outcome=known[outcome] if outcome else None,
        since_unix_s=time.time() - since_s if since_s else 0.0,
        limit=limit,
        newest_first=not oldest_first,
    )
    with connection.open() as client:
        _print(client.records(_resolved(client, wanted)), as_json)


def _resolved(client: FarmClient, wanted: RecordFilter) -> RecordFilter:
    """``wanted`` with whole ids where a person may have shortened one. Raises BadInput for what does not exist."""
    job_id, task_id, device = wanted.job_id, wanted.task_id, wanted.device
    if job_id:
        job_id = client.job(job_id).id
    if task_id:
        start, _, number = task_id.rpartition("/")
        if not start:
            raise BadInput(f"--task: {task_id} is not a task: write JOB/NUMBER.")
        job = client.job(start)
        task_id = f"{job.id}/{number}"
        if task_id not in [task.id for task in job.tasks]:
            raise BadInput(f"There is no task {task_id}: job {job.id} has {plural(len(job.tasks), 'task')}.")
    if device:
        device = one_device(client.devices(), device).id
    return replace(wanted, job_id=job_id, task_id=task_id, device=device)


def _measured_s(record: Record) -> float:
    """Unix time, 0 where nobody knows."""
    timeline = record.measurement.timeline
    return timeline.finished_s or (0.0 if record.imported_from else timeline.stored_s)


def _outcome(measurement: Measurement) -> str:
    outcome = measurement.outcome.value if measurement.outcome else ""
    return f"{outcome}, cut short" if measurement.cut_short else outcome


def _print(found: Iterable[Record], as_json: bool) -> None:
    from tracker.cli.formats import ago, latency
    from tracker.cli.output import console, print_json_array, table

    if as_json:
        print_json_array(found)
        return
    now_s = time.time()
    rows = []
    for record in found:
        measurement = record.measurement
        times = measurement.run_secs
        row = (
            record.workload[:12],
            record.workload_name,
            latency(statistics.median(times) if times else 0),
            _outcome(measurement),
            measurement.device_name or ("imported" if record.imported_from else ""),
            record.engine,
            record.job_id,
            ago(
                measurement.timeline.finished_s or (0 if record.imported_from else measurement.timeline.stored_s), now_s
            ),
        )
        rows.append(row)
    if rows:
        columns = ["workload", "name*", ">latency", "outcome", "device*", "engine", "job*", "measured"]
        console().print(table(columns, rows))
    else:
        click.echo("No record matches.", err=True)
