"""Following jobs to their end, over tracker restarts and broken networks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from tvm_farm.tracker.client.errors import ConnectionLost, TrackerUnreachable, WaitTimeout
from tvm_farm.tracker.client.jobs import Jobs
from tvm_farm.tracker.client.link import Stop
from tvm_farm.tracker.domain.job import Job
from tvm_farm.tracker.domain.job_group import JobGroup

__all__ = ["AWAY_S", "follow"]

log = logging.getLogger(__name__)

#: So long a tracker that went away is waited for.
AWAY_S = 600.0
_PAUSE_S = 0.5
#: A stream's own clock may end it so much before its time.
_EARLY_S = 0.05


def follow(
    jobs: Jobs,
    group: JobGroup,
    *,
    timeout_s: float | None = None,
    away_s: float = AWAY_S,
    notice: Callable[[str], None] = log.warning,
    stop: Stop | None = None,
) -> Iterator[Job]:
    """Snapshots of the jobs, whenever one changed, until the last of them ends, or ``stop`` is called.

    A tracker that goes away is waited for, ``away_s`` seconds; ``notice`` is told of it. Raises TrackerUnreachable when
    that is over, WaitTimeout after ``timeout_s``; the jobs themselves go on in both cases.
    """
    stop = stop or Stop()
    running = {job.id for job in group.jobs}
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    gone_since_s: float | None = None
    while True:
        left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
        try:
            for job in jobs.watch(group.id, timeout_s=left_s, stop=stop):
                if gone_since_s is not None:
                    gone_since_s = None
                    notice("The tracker is back.")
                if job.state.final:
                    running.discard(job.id)
                yield job
                if not running:
                    return
        except ConnectionLost as error:
            lost = error
        else:
            lost = ConnectionLost("The tracker ended the watch before the job ended.")
        now_s = time.monotonic()
        if stop.said:
            return
        if deadline_s is not None and now_s >= deadline_s - _EARLY_S:
            raise WaitTimeout(f"Job {group.id} has not ended within {timeout_s:g} s; it goes on.")
        if gone_since_s is None:
            gone_since_s = now_s
            notice("The tracker does not answer: waiting for it. The job goes on when it is back.")
        elif now_s - gone_since_s > away_s:
            raise TrackerUnreachable(
                f"{lost.message} Waited {away_s / 60:g} minutes; job {group.id} goes on when it is back."
            )
        stop.pause(_PAUSE_S)
