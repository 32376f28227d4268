"""Jobs from here to their end: watched, their packages fetched, what came of them printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.terminal.options import OPTIONS
from tvm_farm.tracker.client.errors import BadInput, FarmError, Interrupted

if TYPE_CHECKING:
    from tvm_farm.tracker.client.handle import JobHandle
    from tvm_farm.tracker.domain import JobGroup

__all__ = ["Folder", "conclude", "finish", "folder_of"]


@dataclass(frozen=True)
class Folder:
    """Where a package goes. ``force``: among other files, or over another model's."""

    path: Path
    force: bool = False

    @property
    def options(self) -> list[str]:
        """As they are typed."""
        return ["-o", str(self.path), *(["--force"] if self.force else [])]


def folder_of(output: Path | None, force: bool) -> Folder | None:
    """What -o and --force say, checked as far as that goes without the job. Raises BadInput."""
    from tvm_farm.tracker.client.packages.package import check_destination

    if output is None:
        if force:
            raise BadInput("--force says how to write a package: it needs -o DIR.")
        return None
    check_destination(output, force, names=OPTIONS)
    return Folder(output, force)


def finish(job: JobHandle, folder: Folder | None, *, as_json: bool) -> JobGroup:
    """Watch jobs to their end, fetch their packages into ``folder`` (None: do not) and print what came of them.

    Returns the jobs as they ended. Raises FarmError where none has a result, or a package cannot be written.
    """
    import sys

    from tvm_farm.tracker.cli.jobs.watching import follow
    from tvm_farm.tracker.cli.reports.group_progress import view_for
    from tvm_farm.tracker.cli.reports.group_results import devices_by_class, print_results
    from tvm_farm.tracker.cli.reports.wording import fetched
    from tvm_farm.tracker.cli.terminal.output import console, print_json
    from tvm_farm.tracker.client.handle import check_done
    from tvm_farm.tracker.documents.jobs import group_document

    if folder is not None:
        job.package.check(folder.path, force=folder.force, names=OPTIONS)
    screen = console(sys.stderr if as_json else sys.stdout)
    devices = devices_by_class(job.farm, job.group)
    group = follow(job, view_for(screen, job.group), folder.options if folder else ())
    if not group.done:
        check_done(group)
    if folder is not None:
        with _told(group, folder):
            job.package.download(folder.path, force=folder.force, names=OPTIONS)
    if as_json:
        print_json(group_document(group))
        return group
    print_results(screen, group, devices)
    click.echo(fetched(group, folder.path if folder else None))
    return group


@contextmanager
def _told(group: JobGroup, folder: Folder) -> Iterator[None]:
    """What ends a download says how to fetch the packages later."""
    from tvm_farm.tracker.cli.reports.wording import fetch_later

    ended = "The job is done, the package not" if group.alone else "The jobs are done, not all packages"
    stands = "The job itself is done." if group.alone else "The jobs themselves are done."
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"\n{ended} fetched. {fetch_later(group, folder.options)}") from None
    except FarmError as error:
        raise type(error)(f"{error.message} {stands} {fetch_later(group)}") from error


def conclude(group: JobGroup, *, as_json: bool = False) -> None:
    """Print the closing lines, the last of the command; exit with 1 where the outputs of any differ.

    Raises JobFailed, which names the jobs that have no result.
    """
    from tvm_farm.tracker.cli.reports.results import closing_line_of
    from tvm_farm.tracker.client.handle import check_done

    if not as_json:
        for job in group.done:
            click.echo(closing_line_of(job, group.title(job)))
    check_done(group)
    if any(result.outputs_differ for result in group.results.values()):
        raise SystemExit(1)
