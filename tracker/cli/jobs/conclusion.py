"""Jobs from here to their end: watched, their packages fetched, what came of them printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.client.errors import BadInput, FarmError

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import JobGroup

__all__ = ["conclude", "finish"]


def finish(client: Farm, group: JobGroup, folder: Path | None, *, as_json: bool) -> JobGroup:
    """Watch jobs to their end, fetch their packages into ``folder`` (None: do not) and print what came of them.

    Returns the jobs as they ended. Raises FarmError where none has a result, or a package cannot be written.
    """
    import sys

    from tvm_farm.tracker.cli.jobs.watching import follow
    from tvm_farm.tracker.cli.reports.group_progress import view_for
    from tvm_farm.tracker.cli.reports.group_results import devices_by_class, print_results
    from tvm_farm.tracker.cli.reports.wording import fetched, raise_unless_done
    from tvm_farm.tracker.cli.terminal.output import console, print_json
    from tvm_farm.tracker.documents.jobs import group_document

    screen = console(sys.stderr if as_json else sys.stdout)
    devices = devices_by_class(client, group)
    group = follow(client, group, view_for(screen, group))
    if not group.done:
        raise_unless_done(group.first)
        raise FarmError(f"Job {group.first.id} is done but names no result: the tracker's log may tell why.")
    if folder is not None:
        from tvm_farm.tracker.cli.jobs.fetching import fetch

        fetch(client, group, folder)
    if as_json:
        print_json(group_document(group))
        return group
    print_results(screen, group, devices)
    click.echo(fetched(group, folder))
    return group


def conclude(group: JobGroup, *, as_json: bool = False) -> None:
    """Print the closing lines, the last of the command; exit with 1 where the outputs of any differ.

    Raises FarmError or BadInput, which name the jobs that have no result.
    """
    from tvm_farm.tracker.cli.reports.results import closing_line_of

    differ = False
    for job in group.jobs:
        if job.result is not None:
            if not as_json:
                click.echo(closing_line_of(job, group.title(job)))
            differ = differ or job.result.outputs_differ
    if missing := group.without_result:
        reasons = "; ".join(f"{job.id}: {job.error or job.state.value}" for job in missing)
        kind = BadInput if all(job.input_error for job in group.jobs) else FarmError
        raise kind(f"{len(missing)} of {len(group.jobs)} classes have no package: {reasons}")
    if differ:
        raise SystemExit(1)
