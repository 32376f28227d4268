"""``farm records query``: measurements by what they are of, or an answer in SQL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from tvm_farm.tracker.cli.records.device import logged_device
from tvm_farm.tracker.cli.records.filters import of_class, of_pool
from tvm_farm.tracker.cli.terminal.completing import device_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.formats import count, plural
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.cli.terminal.parsing import DIMS, DURATION, WholeNumber
from tvm_farm.tracker.client.errors import BadInput

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import RecordFilter

__all__ = ["query"]

_ORDERS = ("time", "latency", "throughput", "board-time")
_LIMIT = 50
#: Beside what finds the tracker.
_WITH_SQL = {"sql", "limit", "as_csv", "as_json", "tracker", "farm_name", "mdns_interface"}


@click.command("query")
@click.option("--job", "job_id", default="", metavar="ID", help="Of this job; the start of its id will do.")
@click.option("--task", "task_id", default="", metavar="ID", help="Of this task: JOB/NUMBER.")
@click.option("--workload", default="", metavar="KEY", help="Of this workload.")
@click.option(
    "--operator",
    "--name",
    "workload_name",
    default="",
    metavar="TEXT",
    help="Of operators whose name has this in it: conv2d, matmul.",
)
@click.option(
    "--shape",
    "shapes",
    type=DIMS,
    multiple=True,
    help="Of operators with a tensor of this shape, 1x64x56x56, or with these loops, 512,512,512; "
    "of several each must be there.",
)
@of_pool
@click.option(
    "--device",
    default="",
    shell_complete=device_names,
    help="Measured on this device: name or id, or the start of either.",
)
@of_class
@click.option("--target", default="", metavar="JSON", help="Built for exactly this target.")
@click.option("--engine", default="", help='Proposed by this engine; "untuned" for baselines.')
@click.option("--user", default="", help="Measured for this user, by a job or a script.")
@click.option("--outcome", metavar="OUTCOME", help='"ok", "run timeout", "crash", …')
@click.option("--since", "since_s", type=DURATION, help="Of the last 30m, 2h, 7d.")
@click.option(
    "--order",
    type=click.Choice(_ORDERS),
    default="time",
    show_default=True,
    help="Newest, fastest, most operations a second, or longest on the board first.",
)
@click.option("--reverse", is_flag=True, help="That order the other way round.")
@click.option("--oldest-first", is_flag=True, help="The same as --order time --reverse.")
@click.option(
    "--sql",
    metavar="SELECT",
    help="Ask in SQLite's SQL instead, of the view `log`, say: a row a measurement. Read only, for 30 s.",
)
@click.option(
    "--limit",
    type=WholeNumber(0),
    metavar="N",
    help=f"At most so many; 0 for all. [default: {_LIMIT}; with --sql all, up to 100,000]",
)
@click.option("--csv", "as_csv", is_flag=True, help="CSV on standard output, for spreadsheets.")
@json_option
@click.pass_context
@connection_options()
def query(
    context: click.Context,
    job_id: str,
    task_id: str,
    workload: str,
    workload_name: str,
    shapes: tuple[str, ...],
    pool: str,
    device: str,
    device_class: str,
    target: str,
    engine: str,
    user: str,
    outcome: str | None,
    since_s: float | None,
    order: str,
    reverse: bool,
    oldest_first: bool,
    sql: str | None,
    limit: int | None,
    as_csv: bool,
    as_json: bool,
    connection: Connection,
) -> None:
    """List measurements, failed ones too, newest first.

    Each option narrows what is listed. In --order latency and throughput those without a timing are left
    out, in board-time those that no board has had.

    \b
    Examples:
      farm records query --job squeezenet-ab2c --outcome "run timeout" --json
      farm records query --operator conv2d --shape 1x64x56x56 --order latency
      farm records query --sql "SELECT operator, min(median_s) FROM log GROUP BY 1"
    """
    from tvm_farm.tracker.cli.records.table import print_records, write_csv
    from tvm_farm.tracker.domain import Outcome, RecordFilter, RecordOrder

    if as_csv and as_json:
        raise BadInput("--csv and --json are two forms of one output: choose one.")
    if sql is not None:
        _refuse_filters(context)
        _ask(connection, sql, limit or 0, as_csv=as_csv, as_json=as_json)
        return
    known = {value.value: value for value in Outcome}
    if outcome is not None and outcome not in known:
        raise BadInput(f"--outcome: there is no outcome '{outcome}'; there are: {', '.join(known)}.")
    if oldest_first and (order != "time" or reverse):
        raise BadInput("--oldest-first is --order time --reverse: leave out one of them.")
    by_time = order == "time"
    wanted = RecordFilter(
        job_id=job_id,
        task_id=task_id,
        workload=workload,
        workload_name=workload_name,
        shapes=shapes,
        pool=pool,
        device=device,
        device_class=device_class,
        target=target,
        engine=engine,
        user=user,
        outcome=known[outcome] if outcome else None,
        limit=_LIMIT if limit is None else limit,
        newest_first=by_time and not (oldest_first or reverse),
        order=None if by_time else RecordOrder(order),
        reverse=reverse and not by_time,
    )
    with connection.open() as client:
        if since_s:
            wanted = replace(wanted, since_unix_s=client.now_s() - since_s)
        found = client.log.records(_resolved(client, wanted))
        if as_csv:
            write_csv(found)
        else:
            print_records(found, client.now_s(), as_json=as_json)


def _refuse_filters(context: click.Context) -> None:
    """Raises BadInput: a WHERE is the place for them."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in _WITH_SQL and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise BadInput(f"--sql asks by itself: say what {parameter.opts[0]} says in its WHERE or ORDER BY.")


def _ask(connection: Connection, sql: str, limit: int, *, as_csv: bool, as_json: bool) -> None:
    from tvm_farm.tracker.cli.records.table import print_answer, write_answer_csv

    with connection.open() as client:
        answer = client.log.ask(sql, limit)
    if as_json and (twice := {name for name in answer.columns if answer.columns.count(name) > 1}):
        raise BadInput(f"Two columns are called {min(twice)}, which one JSON object cannot have: name one with AS.")
    if as_csv:
        write_answer_csv(answer)
    else:
        print_answer(answer, as_json=as_json)
    if answer.cut:
        click.echo(f"There are more rows than these {count(len(answer.rows))}.", err=True)


def _resolved(client: Farm, wanted: RecordFilter) -> RecordFilter:
    """``wanted`` with whole ids where a person may have shortened one. Raises BadInput for what does not exist."""
    job_id, task_id, device = wanted.job_id, wanted.task_id, wanted.device
    if job_id:
        job_id = client.jobs.get(job_id).id
    if task_id:
        start, _, number = task_id.rpartition("/")
        if not start:
            raise BadInput(f"--task: {task_id} is not a task: write JOB/NUMBER.")
        job = client.jobs.get(start)
        task_id = f"{job.id}/{number}"
        if task_id not in [task.id for task in job.tasks]:
            raise BadInput(f"There is no task {task_id}: job {job.id} has {plural(len(job.tasks), 'task')}.")
    if device:
        device = logged_device(client, device)
    return replace(wanted, job_id=job_id, task_id=task_id, device=device)
