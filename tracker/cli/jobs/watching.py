"""Following a job to its end, over tracker restarts and broken networks."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracker.cli.terminal.formats import duration
from tracker.cli.terminal.signals import raised_as_interrupt
from tracker.client.errors import BadInput, FarmError, Interrupted, TrackerUnreachable
from tracker.client.farm_client import ConnectionLost
from tracker.domain import Job, JobKind, JobState

if TYPE_CHECKING:
    from tracker.cli.jobs.progress import View
    from tracker.client.farm_client import FarmClient

__all__ = ["come_back", "follow", "follow_group", "raise_unless_done"]

_PATIENCE_S = 600.0
_PAUSE_S = 0.5


def come_back(job_id: str) -> str:
    """What a person does about a job that goes on without a watcher."""
    return f"Watch it:   farm jobs watch {job_id}\nCancel it:  farm jobs cancel {job_id}"


def follow(client: FarmClient, job_id: str, view: View, *, patience_s: float = _PATIENCE_S) -> Job:
    """Show the job until it ends; returns its last snapshot.

    A tracker that goes away is waited for, ``patience_s`` seconds. Raises Interrupted on Ctrl-C or SIGTERM,
    TrackerUnreachable when patience is over; the job itself goes on in both cases.
    """
    return _follow(client, job_id, [job_id], view, patience_s)[0]


def follow_group(client: FarmClient, jobs: Sequence[Job], view: View, *, patience_s: float = _PATIENCE_S) -> list[Job]:
    """The same for all the ``jobs`` of a group, until the last of them ends; their last snapshots, in their order."""
    return _follow(client, jobs[0].group, [job.id for job in jobs], view, patience_s)


def _follow(client: FarmClient, watched: str, job_ids: Sequence[str], view: View, patience_s: float) -> list[Job]:
    gone_since_s: float | None = None
    ended: dict[str, Job] = {}
    try:
        with raised_as_interrupt(signal.SIGTERM), view:
            while True:
                try:
                    for job in client.watch(watched):
                        if gone_since_s is not None:
                            gone_since_s = None
                            view.notice("The tracker is back.")
                        view.show(job)
                        if job.state is not None and job.state.final:
                            ended[job.id] = job
                        if ended.keys() >= set(job_ids):
                            return [ended[job_id] for job_id in job_ids]
                except ConnectionLost as error:
                    lost = error
                else:
                    lost = ConnectionLost("The tracker ended the watch before the job ended.")
                if gone_since_s is None:
                    gone_since_s = time.monotonic()
                    view.notice("The tracker does not answer: waiting for it. The job goes on when it is back.")
                elif time.monotonic() - gone_since_s > patience_s:
                    raise TrackerUnreachable(
                        f"{lost.message} Waited {duration(patience_s)}; the job goes on when it is back.\n"
                        f"{come_back(watched)}"
                    )
                time.sleep(_PAUSE_S)
    except KeyboardInterrupt:
        goes_on = f"job {watched} goes on" if len(job_ids) == 1 else f"the {len(job_ids)} jobs of {watched} go on"
        raise Interrupted(f"\nNo longer watching; {goes_on}.\n{come_back(watched)}") from None


def raise_unless_done(job: Job) -> None:
    """Raises what a failed or cancelled job means for the command; nothing for one that is done."""
    if job.state is JobState.DONE:
        return
    if job.state is JobState.CANCELLED:
        again = f" Go on with it: farm jobs resume {job.id}" if job.spec.kind is JobKind.TUNE else ""
        raise FarmError(f"Job {job.id} was cancelled.{again}")
    kind = BadInput if job.input_error else FarmError
    raise kind(job.error or f"Job {job.id} failed without saying why: the tracker's log may tell.")
