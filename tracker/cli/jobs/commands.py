"""``farm jobs``: what was asked of the farm, and how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracker.cli.jobs.resume import resume_job
from tracker.cli.terminal.connection import Connection, connection_options
from tracker.cli.terminal.groups import ListingGroup
from tracker.cli.terminal.options import json_option
from tracker.client.errors import BadInput

if TYPE_CHECKING:
    from tracker.client.farm_client import FarmClient
    from tracker.domain import Job, JobSpec

__all__ = ["jobs"]

_STATES = ("queued", "running", "done", "failed", "cancelled")


@click.group(cls=ListingGroup)
def jobs() -> None:
    """List jobs, show, watch, cancel or resume one. An ID may be shortened.

    A tune of several classes of device is a group of jobs, ID.1, ID.2 and so on: ID shows, watches or
    cancels all of them.
    """


jobs.add_command(resume_job)


@jobs.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only jobs in this state.")
@click.option(
    "--limit", type=click.IntRange(0), metavar="N", default=20, show_default=True, help="At most so many; 0 for all."
)
@json_option
@connection_options()
def list_jobs(state: str | None, limit: int, as_json: bool, connection: Connection) -> None:
    """List jobs, newest first.

    \b
    Example:
      farm jobs --state running
    """
    from tracker.cli.jobs.group_progress import short_names
    from tracker.cli.terminal.formats import UNKNOWN, ago, count, duration
    from tracker.cli.terminal.output import console, print_json, table
    from tracker.domain import JobState

    with connection.open() as client:
        found = client.jobs(JobState(state) if state else None, limit and limit + 1)
    more = 0 < limit < len(found)
    found = found[:limit] if more else found
    if as_json:
        print_json(found)
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
        took = (job.finished_unix_s or now_s) - job.started_unix_s if job.started_unix_s else 0.0
        row = (
            job.id,
            job.spec.kind.value if job.spec.kind else UNKNOWN,
            job.spec.model_name,
            job.spec.pool,
            *([classes[job.device_class] if job.group else ""] if classes else []),
            job.spec.user,
            job.state.value if job.state else UNKNOWN,
            count(job.trials),
            duration(took) if took else UNKNOWN,
            ago(job.created_unix_s, now_s),
        )
        rows.append(row)
    columns = ["job", "kind", "model*", "pool*", *(["class*"] if classes else []), "user*", "state"]
    columns += [">trials", ">took", "submitted"]
    console().print(table(columns, rows))
    if more:
        click.echo(f"There are more jobs than these {count(limit)}: --limit 0 lists all.", err=True)


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@click.option("--timeline", is_flag=True, help="Where its time went: search, builds, boards, and who stood idle.")
@json_option
@connection_options()
def show_job(job_id: str, timeline: bool, as_json: bool, connection: Connection) -> None:
    """Show one job: what was asked, its tasks, its result; or where its time went.

    \b
    Examples:
      farm jobs show squeezenet-ab2c
      farm jobs show squeezenet-ab2c --timeline
    """
    from tracker.cli.jobs.progress import by_time_share, task_table
    from tracker.cli.jobs.results import closing_line_of, print_result
    from tracker.cli.jobs.timeline import print_timeline
    from tracker.cli.terminal.output import console, facts, print_json

    with connection.open() as client:
        if group := client.group(job_id):
            if timeline:
                raise BadInput(f"Each job has a timeline of its own: name one of {', '.join(job.id for job in group)}.")
            _show_group(client, group, as_json)
            return
        job = client.job(job_id)
        times = client.job_timeline(job.id) if timeline else None
    if times is not None:
        if as_json:
            print_json(times)
        else:
            print_timeline(console(), job.id, times)
        return
    if as_json:
        print_json(job)
        return
    screen = console()
    screen.print(facts(_facts(job)))
    if job.result is not None and job.state is not None and job.state.final:
        screen.print()
        print_result(screen, job)
        click.echo(closing_line_of(job))
    elif job.tasks:
        screen.print()
        screen.print(task_table(by_time_share(job.tasks)))


def _show_group(client: FarmClient, jobs: list[Job], as_json: bool) -> None:
    from tracker.cli.jobs.check_report import print_checks
    from tracker.cli.jobs.estimates import print_estimates
    from tracker.cli.jobs.group_progress import group_table
    from tracker.cli.jobs.group_results import across, devices_by_class
    from tracker.cli.terminal.output import console, facts, print_json
    from tracker.domain import JobKind

    if as_json:
        print_json({"group": jobs[0].group, "jobs": jobs})
        return
    screen = console()
    spec = jobs[0].spec
    ended = sum(job.state is not None and job.state.final for job in jobs)
    told = f"{len(jobs)} jobs, one a class of device; {ended} of them ended"
    screen.print(facts([("group", jobs[0].group), ("asked", _asked(spec)), ("jobs", told)]))
    screen.print()
    if spec.kind is JobKind.ESTIMATE and ended:
        print_estimates(jobs, as_json=False)
        return
    if spec.kind is JobKind.CHECK and ended:
        print_checks(jobs, as_json=False)
        return
    screen.print(group_table(jobs))
    if ended:
        screen.print()
        screen.print(across(jobs, devices_by_class(client, spec.pool)))


def _asked(spec: JobSpec) -> str:
    where = f" on pool {spec.pool}" if spec.pool else ""
    return f"{spec.kind.value if spec.kind else ''} {spec.model_name}{where} by {spec.user or 'someone'}"


def _facts(job: Job) -> list[tuple[str, str]]:
    from tracker.cli.terminal.formats import clock, count, duration

    spec = job.spec
    limits = [f"{count(spec.max_trials)} trials"] if spec.max_trials else []
    limits += [duration(spec.budget_s)] if spec.budget_s else []
    state = job.state.value if job.state else ""
    return [
        ("job", job.id),
        ("group", f"{job.group}: one job a class of device, `farm jobs show {job.group}`" if job.group else ""),
        ("state", f"{state}: {job.phase}" if job.phase and state == "running" else state),
        ("error", job.error),
        ("asked", _asked(spec)),
        ("tuner", f"{spec.engine}, seed {spec.seed}, limit {' or '.join(limits)}" if limits else ""),
        ("fresh", "nothing is answered from the log" if spec.fresh else ""),
        ("priority", f"{spec.priority:+d}" if spec.priority else ""),
        ("operator", "  ".join([spec.operator, *(f"{p.name}={p.value}" for p in spec.parameters)]).strip()),
        ("templates", "  ".join(file.name for file in spec.templates)),
        ("shapes", "  ".join(map(str, spec.shapes))),
        ("fixed", "  ".join(f"{each.name}={each.value}" for each in spec.fixed)),
        ("submitted", clock(job.created_unix_s)),
        ("started", clock(job.started_unix_s)),
        ("finished", clock(job.finished_unix_s)),
        (
            "tuned for",
            f"{duration(job.tuned_for_s)}, {count(job.trials)} trials" if job.tuned_for_s or job.trials else "",
        ),
        (
            "from the log",
            f"{count(job.recalled)} of its trials: measured before, no board was asked" if job.recalled else "",
        ),
        ("class", job.device_class),
        ("target", job.target),
        ("worker", job.worker_id),
    ]


@jobs.command("watch")
@click.argument("job_id", metavar="ID")
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
    from tracker.cli.jobs.check_report import print_checks
    from tracker.cli.jobs.conclusion import conclude, finish
    from tracker.cli.jobs.estimates import print_estimates, watch_estimates
    from tracker.cli.jobs.group_results import conclude_group, finish_group
    from tracker.cli.packages.package import check_destination
    from tracker.domain import JobKind

    if output is not None:
        check_destination(output, force)
    elif force:
        raise BadInput("--force says how to write a package: it needs -o DIR.")
    with connection.open() as client:
        group = client.group(job_id)
        job = group[0] if group else client.job(job_id)
        if output is not None and not group:
            check_destination(output, force, job.spec.model_name)
        if job.spec.kind is not None and job.spec.kind.answers_only:
            if output is not None:
                raise BadInput(f"Job {job.id} looked things up and made no package: leave out -o.")
            answer = print_checks if job.spec.kind is JobKind.CHECK else print_estimates
            answer(watch_estimates(client, job), as_json=as_json)
            return
        if group:
            conclude_group(finish_group(client, group, output, as_json=as_json), as_json=as_json)
            return
        conclude(finish(client, job.id, output, force=force, as_json=as_json), as_json=as_json)


@jobs.command("cancel")
@click.argument("job_id", metavar="ID")
@connection_options()
def cancel_job(job_id: str, connection: Connection) -> None:
    """Cancel a job, or a group of jobs; what it measured stays in the log.

    \b
    Example:
      farm jobs cancel squeezenet-ab2c
    """
    from tracker.domain import JobState

    with connection.open() as client:
        group = client.group(job_id)
        job = client.cancel(job_id)
        if group:
            group = client.group(job.group)
    if group:
        cancelled = [each.id for each in group if each.state is JobState.CANCELLED]
        click.echo(f"Jobs {', '.join(cancelled)} are cancelled.")
    else:
        click.echo(f"Job {job.id} is cancelled.")
