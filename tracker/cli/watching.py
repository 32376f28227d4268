"""Following a job to its end, over tracker restarts and broken networks."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tracker.cli.formats import duration
from tracker.cli.signals import raised_as_interrupt
from tracker.client.errors import BadInput, FarmError, Interrupted, TrackerUnreachable
from tracker.client.farm_client import ConnectionLost
from tracker.domain import Job, JobState

if TYPE_CHECKING:
    from tracker.cli.progress import View
    from tracker.client.farm_client import FarmClient

__all__ = ["come_back", "follow", "raise_unless_done"]

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
    gone_since_s: float | None = None
    try:
        with raised_as_interrupt(signal.SIGTERM), view:
            while True:
                try:
                    for job in client.watch(job_id):
                        if gone_since_s is not None:
                            gone_since_s = None
                            view.notice("The tracker is back.")
                        view.show(job)
                        if job.state is not None and job.state.final:
                            return job
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
                        f"{come_back(job_id)}"
                    )
                time.sleep(_PAUSE_S)
    except KeyboardInterrupt:
        raise Interrupted(f"\nNo longer watching; job {job_id} goes on.\n{come_back(job_id)}") from None


def raise_unless_done(job: Job) -> None:
    """Raises what a failed or cancelled job means for the command; nothing for one that is done."""
    if job.state is JobState.DONE:
        return
    if job.state is JobState.CANCELLED:
        raise FarmError(f"Job {job.id} was cancelled.")
    kind = BadInput if job.input_error else FarmError
    raise kind(job.error or f"Job {job.id} failed without saying why: the tracker's log may tell.")
