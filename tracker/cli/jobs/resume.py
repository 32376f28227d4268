"""``farm jobs resume``: a job that has ended goes on."""

from __future__ import annotations

from pathlib import Path

import click

from tvm_farm.tracker.cli.terminal.completing import job_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.cli.terminal.parsing import MORE_COUNT, MORE_DURATION
from tvm_farm.tracker.client.errors import BadInput

__all__ = ["resume_job"]


@click.command("resume")
@click.argument("job_id", metavar="ID", shell_complete=job_names)
@click.option("--trials", type=MORE_COUNT, metavar="+N", help="So many more candidates than it has had.")
@click.option("--budget", type=MORE_DURATION, metavar="+DURATION", help="So much more tuning than it has had: +10m.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Fetch the package into DIR at the end."
)
@click.option("--force", is_flag=True, help="Put the package among other files of DIR, or over another model's.")
@click.option("--detach", is_flag=True, help="Return once it is queued; `farm jobs watch ID -o DIR` has its package.")
@json_option
@connection_options()
def resume_job(
    job_id: str,
    trials: int | None,
    budget: float | None,
    output: Path | None,
    force: bool,
    detach: bool,
    as_json: bool,
    connection: Connection,
) -> None:
    """Go on with a job that has ended, from its records. It may be done, failed or
    cancelled, and goes on as if it had not ended.

    Without --trials and --budget it goes on to the limits that it was submitted with. With one of them the other
    is no limit any more; with both, whichever is used up first ends it. The package is made anew. A job of a group
    goes on alone, by its own ID.

    \b
    Examples:
      farm jobs resume squeezenet-ab2c --trials +500
      farm jobs resume squeezenet-ab2c --budget +10m -o squeezenet-tuned
    """
    from tvm_farm.tracker.cli.jobs.conclusion import conclude, finish, folder_of
    from tvm_farm.tracker.cli.reports.wording import come_back
    from tvm_farm.tracker.cli.terminal.options import OPTIONS
    from tvm_farm.tracker.cli.terminal.output import print_json

    if detach and (output is not None or force):
        raise BadInput("--detach returns before there is a package: give -o to `farm jobs watch ID -o DIR` later.")
    folder = folder_of(output, force)
    with connection.open() as client:
        job = client.job(job_id)
        if folder is not None:
            job.package.check(folder.path, force=folder.force, names=OPTIONS)
        job.resume(trials=trials, budget=budget)
        if not detach:
            conclude(finish(job, folder, as_json=as_json), as_json=as_json)
        elif as_json:
            print_json(job.group.first)
        else:
            click.echo(f"Job {job.id} goes on.\n{come_back(job.id)}")
