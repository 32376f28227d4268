"""Jobs that a person watches: on the screen until they end, or until Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tvm_farm.tracker.cli.reports.wording import come_back, goes_on
from tvm_farm.tracker.cli.terminal.signals import raised_as_interrupt
from tvm_farm.tracker.client.errors import Interrupted, TrackerUnreachable
from tvm_farm.tracker.client.handle import check_done
from tvm_farm.tracker.domain import Job, JobGroup

if TYPE_CHECKING:
    from tvm_farm.tracker.cli.reports.progress import View
    from tvm_farm.tracker.client.handle import JobHandle

__all__ = ["follow", "watch_estimates"]


def follow(job: JobHandle, view: View, options: Sequence[str] = ()) -> JobGroup:
    """Show the jobs until the last of them ends; returns their last snapshots, in their order.

    Raises Interrupted on Ctrl-C or SIGTERM, TrackerUnreachable where the tracker stays away; the jobs themselves go on
    in both cases, and the message says how to come back: with ``options``, which say where the package was to go.
    """
    try:
        with raised_as_interrupt(signal.SIGTERM), view:
            for snapshot in job.progress(notice=view.notice):
                view.show(snapshot)
    except TrackerUnreachable as error:
        raise TrackerUnreachable(f"{error.message}\n{come_back(job.id, options)}") from error
    except KeyboardInterrupt:
        raise Interrupted(f"\nNo longer watching; {goes_on(job.group)}.\n{come_back(job.id, options)}") from None
    return job.group


def watch_estimates(job: JobHandle) -> Sequence[Job]:
    """The jobs of ``job`` as they ended. Raises what a failed one means where none is done.

    An interrupt cancels them: nobody comes back for an answer that only this command shows.
    """
    from tvm_farm.tracker.cli.reports.group_progress import view_for
    from tvm_farm.tracker.cli.terminal.output import console

    try:
        group = follow(job, view_for(console(sys.stderr), job.group))
    except Interrupted:
        job.cancel()
        raise Interrupted("\nInterrupted; its job is cancelled.") from None
    if not group.done:
        check_done(JobGroup(group.jobs[:1]))
    return group.jobs
