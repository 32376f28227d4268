"""A job from here to its end: watched, its package fetched, what came of it printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracker.client.errors import FarmError, Interrupted

if TYPE_CHECKING:
    from tracker.client.farm_client import FarmClient
    from tracker.domain import Job

__all__ = ["conclude", "fetch_later", "finish"]


def finish(client: FarmClient, job_id: str, folder: Path | None, *, force: bool, as_json: bool) -> Job:
    """Watch a job to its end, fetch its package into ``folder`` (None: do not) and print what came of it.

    Returns the job as it ended, with its result. Raises FarmError when it failed or the package cannot be written.
    """
    import sys

    from tracker.cli.jobs.progress import view_for
    from tracker.cli.jobs.results import print_result
    from tracker.cli.jobs.watching import follow, raise_unless_done
    from tracker.cli.packages.package import write_package
    from tracker.cli.terminal.output import console, print_json

    screen = console(sys.stderr if as_json else sys.stdout)
    job = follow(client, job_id, view_for(screen))
    raise_unless_done(job)
    if job.result is None:
        raise FarmError(f"Job {job.id} is done but names no result: the tracker's log may tell why.")
    if folder is not None:
        try:
            write_package(job.result.files, folder, client.get_artifact)
        except KeyboardInterrupt:
            raise Interrupted(f"\nThe job is done, the package not fetched. {fetch_later(job.id)}") from None
        except FarmError as error:
            raise type(error)(f"{error.message} The job itself is done. {fetch_later(job.id)}") from error
    if as_json:
        print_json(job)
        return job
    print_result(screen, job)
    click.echo(f"Package: {folder}" if folder is not None else fetch_later(job.id))
    return job


def conclude(job: Job, *, as_json: bool = False) -> None:
    """Print the closing line, the last of the command; exit with 1 when the outputs differ."""
    from tracker.cli.jobs.results import closing_line_of, model_latency

    assert job.result is not None, "finish() returns jobs with a result"
    if not as_json:
        click.echo(closing_line_of(job))
    _, _, measured = model_latency(job.result)
    if not job.result.outputs_equal and (measured or job.result.kernels_compared):
        raise SystemExit(1)


def fetch_later(job_id: str) -> str:
    return f"Fetch the package: farm jobs watch {job_id} -o DIR"
