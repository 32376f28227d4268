"""``farm jobs show``: what was asked, how far it is, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.terminal.completing import job_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.client.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import Job, JobGroup, JobSpec

__all__ = ["show_job"]


@click.command("show")
@click.argument("job_id", metavar="ID", shell_complete=job_names)
@click.option("--timeline", is_flag=True, help="Where its time went: search, builds, boards, and who stood idle.")
@json_option
@connection_options()
def show_job(job_id: str, timeline: bool, as_json: bool, connection: Connection) -> None:
    """Show what was asked of a job, its tasks, result or timeline.

    \b
    Examples:
      farm jobs show squeezenet-ab2c
      farm jobs show squeezenet-ab2c --timeline
    """
    from tvm_farm.tracker.cli.terminal.output import console, facts, print_json
    from tvm_farm.tracker.documents.jobs import group_document

    with connection.open() as client:
        group = client.jobs.group(job_id)
        if timeline:
            _show_timeline(client, group, as_json)
        elif as_json:
            print_json(group_document(group))
        else:
            screen = console()
            screen.print(facts(_facts(group.first, client.now_s()) if group.alone else _facts_of_several(group)))
            _print_state(screen, client, group)


def _show_timeline(client: Farm, group: JobGroup, as_json: bool) -> None:
    from tvm_farm.tracker.cli.reports.timeline import print_timeline
    from tvm_farm.tracker.cli.terminal.output import console, print_json

    if not group.alone:
        ids = ", ".join(job.id for job in group.jobs)
        raise BadInput(f"Each job has a timeline of its own: name one of {ids}.")
    times = client.jobs.timeline(group.id)
    if as_json:
        print_json(times)
    else:
        print_timeline(console(), group.first, times)


def _print_state(screen: Console, client: Farm, group: JobGroup) -> None:
    """Under the facts: of one job its result or its tasks, of several a row each and the table across them."""
    from tvm_farm.tracker.cli.reports.check_report import print_checks
    from tvm_farm.tracker.cli.reports.estimates import print_estimates
    from tvm_farm.tracker.cli.reports.group_progress import group_table
    from tvm_farm.tracker.cli.reports.group_results import across, devices_by_class
    from tvm_farm.tracker.domain import JobKind

    if group.alone:
        _print_job(screen, group.first)
        return
    screen.print()
    if group.ended and group.spec.kind is JobKind.ESTIMATE:
        print_estimates(group.jobs, as_json=False)
    elif group.ended and group.spec.kind is JobKind.CHECK:
        print_checks(group.jobs, as_json=False)
    else:
        screen.print(group_table(group.jobs))
        if group.ended:
            screen.print()
            screen.print(across(group.jobs, devices_by_class(client, group)))


def _print_job(screen: Console, job: Job) -> None:
    from tvm_farm.tracker.cli.reports.progress import by_time_share, task_table
    from tvm_farm.tracker.cli.reports.results import closing_line_of, print_result

    if job.result is not None and job.state.final:
        screen.print()
        print_result(screen, job)
        click.echo(closing_line_of(job))
    elif job.tasks:
        screen.print()
        screen.print(task_table(by_time_share(job.tasks)))


def _facts_of_several(group: JobGroup) -> list[tuple[str, str]]:
    told = f"{len(group.jobs)} jobs, one a class of device; {len(group.ended)} of them ended"
    return [("group", group.id), ("asked", _asked(group.spec)), ("jobs", told)]


def _asked(spec: JobSpec) -> str:
    where = f" on pool {spec.pool}" if spec.pool else ""
    return f"{spec.kind.value} {spec.model_name}{where} by {spec.user or 'someone'}"


def _facts(job: Job, now_s: float) -> list[tuple[str, str]]:
    from tvm_farm.tracker.cli.terminal.formats import clock, count, duration, plural

    spec = job.spec
    limits = [plural(spec.max_trials, "trial")] if spec.max_trials else []
    limits += [duration(spec.budget_s)] if spec.budget_s else []
    state = job.state.value
    return [
        ("job", job.id),
        ("group", f"{job.group}: one job a class of device, `farm jobs show {job.group}`" if job.group else ""),
        ("state", f"{state}: {job.phase}" if job.phase and not job.state.final else state),
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
        ("took", duration(job.took_s(now_s)) if job.started_unix_s else ""),
        (
            "tuned for",
            f"{duration(job.tuned_for_s)}, {plural(job.trials, 'trial')}" if job.tuned_for_s or job.trials else "",
        ),
        (
            "from the log",
            f"{count(job.recalled)} of its trials: measured before, no board was asked" if job.recalled else "",
        ),
        ("class", job.device_class),
        ("target", job.target),
        ("worker", job.worker_id),
    ]
