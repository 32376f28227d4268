"""What may happen to a job, state by state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tvm_farm.protos.measurement import Artifact
from tvm_farm.tracker.domain import Job, JobKind, JobResult, JobSpec, JobState, Task
from tvm_farm.tracker.domain.errors import InvalidRequest, NotPossible
from tvm_farm.tracker.domain.job_life import (
    MAX_WORKER_LOSSES,
    WAITING,
    Losses,
    cancelled,
    failed,
    finished,
    placed,
    requeued,
    resumed,
    started,
)

JOB = Job("net-1", JobSpec(JobKind.TUNE, "net", Artifact("00", 1), "x86_64"), created_unix_s=1.0, tuned_for_s=7.0)
RESULT = JobResult(tuned_s=0.5)
FINAL = [JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.REFUSED]
TASK = Task("net-1/0", "conv", "w", 1)


def in_state(state: JobState) -> Job:
    return replace(JOB, state=state, worker_id="w" if state is JobState.RUNNING else "", started_unix_s=2.0)


def test_start() -> None:
    job = started(JOB, "w", 3.0)
    assert (job.state, job.worker_id, job.started_unix_s) == (JobState.RUNNING, "w", 3.0)


def test_a_second_start_keeps_the_time_of_the_first() -> None:
    assert started(in_state(JobState.QUEUED), "w", 9.0).started_unix_s == 2.0


def test_a_job_took_the_time_in_which_a_worker_had_it() -> None:
    day_s = 86400.0
    job = started(JOB, "w", 10.0)
    assert (job.took_s(10.0), job.took_s(15.0), job.took_s(9.0)) == (0.0, 5.0, 0.0)
    job = requeued(job, Losses(1, 10), 15.0)
    assert job.took_s(100.0) == 5.0  # it waits for another worker
    job = cancelled(started(job, "v", 100.0), 130.0)
    assert job.took_s(day_s) == 35.0
    job = resumed(job, 500, 0.0)
    assert job.took_s(2 * day_s) == 35.0
    job = started(job, "u", 3 * day_s)
    assert finished(job, RESULT, 3 * day_s + 60.0).took_s(9 * day_s) == 95.0
    assert failed(job, "no", input_error=False, now=3 * day_s + 1.0).took_s(9 * day_s) == 36.0
    assert cancelled(JOB, 5.0).took_s(9.0) == 0.0  # no worker ever had it
    of_older_tracker = replace(JOB, started_unix_s=10.0)
    assert of_older_tracker.took_s(15.0) == replace(of_older_tracker, finished_unix_s=15.0).took_s(day_s) == 5.0


@pytest.mark.parametrize("state", [JobState.RUNNING, *FINAL])
def test_only_a_queued_job_starts(state: JobState) -> None:
    with pytest.raises(NotPossible, match=f"net-1 is {state.value}"):
        started(in_state(state), "w", 3.0)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_ends(state: JobState) -> None:
    job = in_state(state)
    done = finished(job, RESULT, 5.0)
    assert (done.state, done.result, done.finished_unix_s, done.worker_id) == (JobState.DONE, RESULT, 5.0, "")
    broken = failed(job, "no board", input_error=False, now=5.0)
    assert (broken.state, broken.phase, broken.error, broken.input_error) == (
        JobState.FAILED, "failed", "no board", False,
    )  # fmt: skip
    assert broken.finished_unix_s == 5.0
    stopped = cancelled(job, 5.0)
    assert (stopped.state, stopped.finished_unix_s, stopped.worker_id) == (JobState.CANCELLED, 5.0, "")


def test_what_cannot_be_tuned_is_refused_until_it_has_tasks() -> None:
    refused = failed(in_state(JobState.RUNNING), "no such file", input_error=True, now=5.0)
    assert (refused.state, refused.phase, refused.error, refused.input_error) == (
        JobState.REFUSED, "refused", "no such file", True,
    )  # fmt: skip
    assert refused.state.final
    later = failed(replace(in_state(JobState.RUNNING), tasks=(TASK,)), "too few inputs", input_error=True, now=5.0)
    assert (later.state, later.input_error) == (JobState.FAILED, True)


@pytest.mark.parametrize(
    ("place", "phase"),
    [
        (1, "waiting for a worker; its turn comes after net-0"),
        (2, "waiting for a worker, 1 job before it; its turn comes after net-0"),
        (4, "waiting for a worker, 3 jobs before it; its turn comes after net-0"),
    ],
)
def test_a_job_that_waits_tells_its_place(place: int, phase: str) -> None:
    job = placed(replace(JOB, phase=f"{WAITING}; its turn comes after net-0"), place)
    assert (job.place, job.phase) == (place, phase)
    assert placed(replace(JOB, phase="no worker"), place).phase == "no worker"


@pytest.mark.parametrize("state", FINAL)
def test_what_ended_stays(state: JobState) -> None:
    job = in_state(state)
    assert finished(job, RESULT, 9.0) == job
    assert failed(job, "late", input_error=False, now=9.0) == job
    assert requeued(job, Losses(1), 9.0) == job


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED])
def test_cancelling_what_ended_is_refused(state: JobState) -> None:
    with pytest.raises(NotPossible, match=f"{state.value} already"):
        cancelled(in_state(state), 9.0)


def test_cancelling_twice_is_once() -> None:
    job = in_state(JobState.CANCELLED)
    assert cancelled(job, 9.0) == job


def test_a_lost_worker_costs_no_tuning_time() -> None:
    job = requeued(in_state(JobState.RUNNING), Losses(1, 10), 9.0)
    assert (job.state, job.worker_id, job.tuned_for_s) == (JobState.QUEUED, "", 7.0)


def test_the_limit_of_losses_ends_it() -> None:
    job = requeued(in_state(JobState.RUNNING), Losses(MAX_WORKER_LOSSES, 10), 9.0)
    assert job.state is JobState.FAILED
    assert "3 times in a row" in job.error
    assert not job.input_error


@pytest.mark.parametrize(
    ("trials", "counts"),
    [([0, 0, 0], [1, 2, 3]), ([5, 5, 9], [1, 2, 1]), ([5, 9, 9, 9], [1, 1, 2, 3])],
)
def test_losses_are_counted_from_the_last_new_record(trials: list[int], counts: list[int]) -> None:
    losses, seen = Losses(), []
    for n in trials:
        losses = losses.after_one_more(n)
        seen.append(losses.count)
    assert seen == counts


@pytest.mark.parametrize("state", FINAL)
@pytest.mark.parametrize(
    ("more", "limits"),
    [
        ((500, 0.0), (540, 0.0)),
        ((0, 60.0), (0, 67.0)),
        ((500, 60.0), (540, 67.0)),
        ((0, 0.0), (64, 30.0)),
    ],
)
def test_what_has_ended_goes_on_with_more(state: JobState, more: tuple[int, float], limits: tuple[int, float]) -> None:
    spec = replace(JOB.spec, max_trials=64, budget_s=30.0)
    ended = replace(in_state(state), spec=spec, trials=40, error="no", input_error=True, finished_unix_s=9.0)
    job = resumed(replace(ended, result=RESULT), *more)
    assert (job.state, job.error, job.input_error, job.finished_unix_s) == (JobState.QUEUED, "", False, 0.0)
    assert (job.spec.max_trials, job.spec.budget_s) == limits
    # Until there is another, its package is the one that it had; its time and its begin count on.
    assert (job.result, job.tuned_for_s, job.started_unix_s) == (RESULT, 7.0, 2.0)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_what_has_not_ended_does_not_go_on(state: JobState) -> None:
    with pytest.raises(NotPossible, match=f"net-1 is {state.value}: it can go on once it has ended"):
        resumed(in_state(state), 500, 0.0)


@pytest.mark.parametrize("used", [{"max_trials": 40}, {"budget_s": 7.0}, {"max_trials": 90, "budget_s": 6.0}])
def test_a_budget_that_is_used_up_needs_another(used: dict[str, float]) -> None:
    job = replace(in_state(JobState.DONE), trials=40, spec=replace(JOB.spec, **used))  # type: ignore[arg-type]
    with pytest.raises(NotPossible, match="has used up its budget: say how much more"):
        resumed(job, 0, 0.0)


def test_what_cannot_go_on() -> None:
    ended = in_state(JobState.DONE)
    with pytest.raises(InvalidRequest, match="does not tune: only a job of `farm tune` can go on"):
        resumed(replace(ended, spec=replace(JOB.spec, kind=JobKind.COMPILE)), 500, 0.0)
    with pytest.raises(InvalidRequest, match="the budget must be positive"):
        resumed(ended, 0, -1.0)
    with pytest.raises(InvalidRequest, match="a job has 4294967295 at most"):
        resumed(replace(ended, trials=1), 2**32 - 1, 0.0)
    assert resumed(replace(ended, trials=1), 2**32 - 2, 0.0).spec.max_trials == 2**32 - 1
