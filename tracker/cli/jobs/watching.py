"""Following jobs to their end, over tracker restarts and broken networks."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tvm_farm.tracker.cli.reports.wording import come_back, goes_on, raise_unless_done
from tvm_farm.tracker.cli.terminal.formats import duration
from tvm_farm.tracker.cli.terminal.signals import raised_as_interrupt
from tvm_farm.tracker.client.errors import ConnectionLost, Interrupted, TrackerUnreachable
from tvm_farm.tracker.domain import Job, JobGroup, JobState

if TYPE_CHECKING:
    from tvm_farm.tracker.cli.reports.progress import View
    from tvm_farm.tracker.client.farm import Farm

__all__ = ["follow", "watch_estimates"]

_AWAY_S = 600.0
_PAUSE_S = 0.5


def follow(client: Farm, group: JobGroup, view: View, *, away_s: float = _AWAY_S) -> JobGroup:
    """Show the jobs until the last of them ends; returns their last snapshots, in their order.

    A tracker that goes away is waited for, ``away_s`` seconds. Raises Interrupted on Ctrl-C or SIGTERM,
    TrackerUnreachable when that is over; the jobs themselves go on in both cases.
    """
    job_ids = [job.id for job in group.jobs]
    gone_since_s: float | None = None
    ended: dict[str, Job] = {}
    try:
        with raised_as_interrupt(signal.SIGTERM), view:
            while True:
                try:
                    for job in client.jobs.watch(group.id):
                        if gone_since_s is not None:
                            gone_since_s = None
                            view.notice("The tracker is back.")
                        view.show(job)
                        if job.state.final:
                            ended[job.id] = job
                        if ended.keys() >= set(job_ids):
                            return JobGroup(tuple(ended[job_id] for job_id in job_ids))
                except ConnectionLost as error:
                    lost = error
                else:
                    lost = ConnectionLost("The tracker ended the watch before the job ended.")
                if gone_since_s is None:
                    gone_since_s = time.monotonic()
                    view.notice("The tracker does not answer: waiting for it. The job goes on when it is back.")
                elif time.monotonic() - gone_since_s > away_s:
                    raise TrackerUnreachable(
                        f"{lost.message} Waited {duration(away_s)}; the job goes on when it is back.\n"
                        f"{come_back(group.id)}"
                    )
                time.sleep(_PAUSE_S)
    except KeyboardInterrupt:
        raise Interrupted(f"\nNo longer watching; {goes_on(group)}.\n{come_back(group.id)}") from None


def watch_estimates(client: Farm, job: Job) -> Sequence[Job]:
    """``job`` and the others of its group, as they ended. Raises what a failed one means where none is done.

    An interrupt cancels them: nobody comes back for an answer that only this command shows.
    """
    from tvm_farm.tracker.cli.reports.group_progress import view_for
    from tvm_farm.tracker.cli.terminal.output import console

    group = client.jobs.group_of(job)
    try:
        jobs = follow(client, group, view_for(console(sys.stderr), group)).jobs
    except Interrupted:
        client.jobs.cancel(group.id)
        raise Interrupted("\nInterrupted; its job is cancelled.") from None
    if not any(each.state is JobState.DONE for each in jobs):
        raise_unless_done(jobs[0])
    return jobs
