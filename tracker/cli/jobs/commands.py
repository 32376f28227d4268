"""``farm jobs``: what was asked of the farm, and how far it is."""

from __future__ import annotations

from pathlib import Path

import click

from tvm_farm.tracker.cli.jobs.resume import resume_job
from tvm_farm.tracker.cli.jobs.show import show_job
from tvm_farm.tracker.cli.terminal.completing import job_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.groups import ListingGroup
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.cli.terminal.parsing import WholeNumber
from tvm_farm.tracker.client.errors import BadInput

__all__ = ["jobs"]

_STATES = ("queued", "running", "done", "failed", "cancelled", "refused")


@click.group(cls=ListingGroup)
def jobs() -> None:
    """List jobs, show, watch, cancel or resume one. An ID may be shortened.

    A tune of several classes of device is a group of jobs, ID.1, ID.2 and so on: ID shows, watches or
    cancels all of them.
    """


@jobs.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only jobs in this state.")
@click.option(
    "--limit", type=WholeNumber(0), metavar="N", default=20, show_default=True, help="At most so many; 0 for all."
)
@json_option
@connection_options()
def list_jobs(state: str | None, limit: int, as_json: bool, connection: Connection) -> None:
    """List jobs, newest first. `farm jobs show ID --json` has the tasks and the whole result of one.

    A queued one tells its place: workers take the first first. What was refused since it cannot be tuned is
    listed by --state refused alone.

    \b
    Example:
      farm jobs --state running
    """
    from tvm_farm.tracker.cli.reports.group_progress import short_names
    from tvm_farm.tracker.cli.terminal.formats import UNKNOWN, ago, count, duration, ordinal
    from tvm_farm.tracker.cli.terminal.output import console, print_json, table
    from tvm_farm.tracker.documents.jobs import listed_document
    from tvm_farm.tracker.domain import JobState

    with connection.open() as client:
        found = client.jobs.list(JobState(state) if state else None, limit and limit + 1)
    more = 0 < limit < len(found)
    found = found[:limit] if more else found
    if as_json:
        print_json([listed_document(job) for job in found])
        return
    if not found:
        click.echo(
            "No job here yet. Submit one: farm tune MODEL --pool POOL" if not state else f"No {state} job.", err=True
        )
        return
    now_s = client.now_s()
    rows = []
    # Of the jobs of a group a class tells which is which; of others it would only take room.
    classes = short_names(sorted({job.device_class for job in found if job.group}))
    for job in found:
        row = (
            job.id,
            job.spec.kind.value,
            job.spec.model_name,
            job.spec.pool,
            *([classes[job.device_class] if job.group else ""] if classes else []),
            job.spec.user,
            f"queued, {ordinal(job.place)}" if job.place else job.state.value,
            count(job.trials),
            duration(job.took_s(now_s)) if job.started_unix_s else UNKNOWN,
            ago(job.created_unix_s, now_s),
        )
        rows.append(row)
    columns = ["job", "kind", "model*", "pool", *(["class"] if classes else []), "user*", "state"]
    columns += [">trials", ">took", "submitted"]
    console().print(table(columns, rows, spare=("user", "kind", "pool", "submitted", "class", "took", "model")))
    if more:
        click.echo(f"There are more jobs than these {count(limit)}: --limit 0 lists all.", err=True)


@jobs.command("watch")
@click.argument("job_id", metavar="ID", shell_complete=job_names)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Fetch the package into DIR at the end."
)
@click.option("--force", is_flag=True, help="Put the package among other files of DIR, or over another model's.")
@json_option
@connection_options()
def watch_job(job_id: str, output: Path | None, force: bool, as_json: bool, connection: Connection) -> None:
    """Watch a job to its end, and fetch its package. Works on finished jobs too, and on a group of jobs.

    \b
    Example:
      farm jobs watch squeezenet-ab2c -o squeezenet-tuned
    """
    from tvm_farm.tracker.cli.jobs.conclusion import conclude, finish, folder_of
    from tvm_farm.tracker.cli.jobs.watching import watch_estimates
    from tvm_farm.tracker.cli.reports.check_report import print_checks
    from tvm_farm.tracker.cli.reports.estimates import print_estimates
    from tvm_farm.tracker.domain import JobKind

    folder = folder_of(output, force)
    with connection.open() as client:
        job = client.job(job_id)
        kind = job.group.spec.kind
        if kind.answers_only:
            if folder is not None:
                raise BadInput(f"Job {job.id} looked things up and made no package: leave out -o.")
            answer = print_checks if kind is JobKind.CHECK else print_estimates
            answer(watch_estimates(job), as_json=as_json)
            return
        conclude(finish(job, folder, as_json=as_json), as_json=as_json)


@jobs.command("cancel")
@click.argument("job_id", metavar="ID", shell_complete=job_names)
@connection_options()
def cancel_job(job_id: str, connection: Connection) -> None:
    """Cancel a job or a group; what it measured stays in the log.

    \b
    Example:
      farm jobs cancel squeezenet-ab2c
    """
    from tvm_farm.tracker.cli.reports.wording import cancelled

    with connection.open() as client:
        click.echo(cancelled(client.jobs.cancel(job_id)))


jobs.add_command(show_job)
jobs.add_command(resume_job)
