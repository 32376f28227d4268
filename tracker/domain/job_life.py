"""What may happen to a job: pure transitions, each ``(job, …, now) -> job``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_farm.tracker.domain.errors import InvalidRequest, NotPossible
from tvm_farm.tracker.domain.job import MAX_TRIALS, Job, JobKind, JobState
from tvm_farm.tracker.domain.job_result import JobResult

__all__ = [
    "MAX_WORKER_LOSSES",
    "WAITING",
    "Losses",
    "cancelled",
    "failed",
    "finished",
    "placed",
    "requeued",
    "resumed",
    "started",
]

#: How the phase of a queued job begins.
WAITING = "waiting for a worker"
#: A job that takes its worker down this often, without a new record in between, is not tried again.
MAX_WORKER_LOSSES = 3


@dataclass(frozen=True)
class Losses:
    """How often in a row a job lost its worker, and how many records it had the last time."""

    count: int = 0
    trials: int = 0

    def after_one_more(self, trials: int) -> Losses:
        return Losses(1 if trials > self.trials else self.count + 1, trials)


def started(job: Job, worker_id: str, now: float) -> Job:
    if job.state is not JobState.QUEUED:
        raise NotPossible(f"job {job.id} is {job.state.value} and cannot be started")
    return replace(
        job,
        state=JobState.RUNNING,
        worker_id=worker_id,
        # It says itself what comes next, as soon as it can: at once where it has done so before.
        phase="the worker loads TVM",
        started_unix_s=job.started_unix_s or now,
        working_since_unix_s=now,
    )


def placed(job: Job, place: int) -> Job:
    """The queued ``job`` as people see it: with its place among those that wait, 1 for the next, and who is before it.

    Only the words of WAITING change: a phase that names another reason stands.
    """
    before = place - 1
    told = f"{WAITING}, {before} job{'s' if before > 1 else ''} before it" if before else WAITING
    return replace(job, place=place, phase=job.phase.replace(WAITING, told, 1))


def _left(job: Job, now: float) -> Job:
    """``job`` without its worker."""
    return replace(job, worker_id="", worked_s=job.took_s(now), working_since_unix_s=0.0)


def requeued(job: Job, losses: Losses, now: float) -> Job:
    """The running ``job`` after its worker was lost: queued again, or failed at the limit of ``losses``."""
    if job.state is not JobState.RUNNING:
        return job
    if losses.count >= MAX_WORKER_LOSSES:
        error = f"its worker died {losses.count} times in a row without a new record; the tracker's log says how"
        return failed(job, error, input_error=False, now=now)
    return replace(_left(job, now), state=JobState.QUEUED, phase=WAITING)


def finished(job: Job, result: JobResult, now: float) -> Job:
    """Ends an unfinished job with its result; a job that has ended stays as it is."""
    if job.state.final:
        return job
    return replace(_left(job, now), state=JobState.DONE, result=result, phase="done", finished_unix_s=now)


def failed(job: Job, error: str, *, input_error: bool, now: float) -> Job:
    """Ends an unfinished job with its error; a job that has ended stays as it is.

    One whose input is at fault, and that has no task yet, is refused: it was never one that could be tuned.
    """
    if job.state.final:
        return job
    state = JobState.REFUSED if input_error and not job.tasks else JobState.FAILED
    return replace(
        _left(job, now),
        state=state,
        error=error,
        input_error=input_error,
        phase=state.value,
        finished_unix_s=now,
    )


def cancelled(job: Job, now: float) -> Job:
    """Raises NotPossible for a job that has ended otherwise; cancelling twice is the same as once."""
    if job.state is JobState.CANCELLED:
        return job
    if job.state.final:
        raise NotPossible(f"job {job.id} is {job.state.value} already: there is nothing to cancel")
    return replace(_left(job, now), state=JobState.CANCELLED, phase="cancelled", finished_unix_s=now)


def resumed(job: Job, trials: int, budget_s: float) -> Job:
    """An ended job queued again, to go on from its records; what it had as result stays until it has another.

    ``trials`` and ``budget_s`` are more than it had so far, and one that is 0 is no limit any more; both 0: its own
    limits go on. Raises InvalidRequest for a job that does not tune, a negative time or too many trials, NotPossible
    for one that has not ended and where nothing of its limits is left.
    """
    if job.spec.kind is not JobKind.TUNE:
        raise InvalidRequest(f"job {job.id} does not tune: only a job of `farm tune` can go on")
    if not budget_s >= 0:
        raise InvalidRequest(f"the budget must be positive, not {budget_s:g} s")
    if job.trials + trials > MAX_TRIALS:
        raise InvalidRequest(
            f"{trials} more than the {job.trials} trials of job {job.id}: a job has {MAX_TRIALS} at most"
        )
    if not job.state.final:
        raise NotPossible(f"job {job.id} is {job.state.value}: it can go on once it has ended, or cancel it first")
    spec = job.spec
    if trials or budget_s:
        spec = replace(
            spec,
            max_trials=job.trials + trials if trials else 0,
            budget_s=job.tuned_for_s + budget_s if budget_s else 0.0,
        )
    elif (spec.max_trials and job.trials >= spec.max_trials) or (spec.budget_s and job.tuned_for_s >= spec.budget_s):
        raise NotPossible(
            f"job {job.id} has used up its budget: say how much more, as `farm jobs resume {job.id} --trials +500` does"
        )
    return replace(
        job,
        spec=spec,
        state=JobState.QUEUED,
        phase=WAITING,
        error="",
        input_error=False,
        worker_id="",
        finished_unix_s=0.0,
    )
