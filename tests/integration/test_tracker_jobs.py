"""Jobs and workers on a real tracker process."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.measure_client import MeasureClient, context
from tests.support.stand_in_agent import StandInAgent
from tests.support.stand_in_worker import StandInWorker, spec, submit, task_plans
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.farm.v1 import (
    artifacts_pb2,
    device_pb2,
    devices_pb2,
    farm_pb2,
    job_pb2,
    jobs_pb2,
    log_pb2,
    measurement_pb2,
    measuring_pb2,
    record_pb2,
    work_pb2,
)

Make = Callable[..., Any]


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "state")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """One tracker with one board for all that is refused: it must be as before after each."""
    process = TrackerProcess(tmp_path_factory.mktemp("tracker") / "state")
    board = StandInAgent(process.address, "board")
    yield process
    board.cut()
    process.stop()


@pytest.fixture
def closing(tracker: TrackerProcess) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def board(tracker: TrackerProcess, closing: ExitStack) -> StandInAgent:
    made = StandInAgent(tracker.address, "board")
    closing.callback(made.cut)
    return made


@pytest.fixture
def worker(tracker: TrackerProcess, closing: ExitStack, board: StandInAgent) -> Make:
    def make(worker_id: str = "w1", running_job: str = "", **hello: Any) -> StandInWorker:
        made = StandInWorker(tracker.address, worker_id, running_job, **hello)
        closing.callback(made.cut)
        return made

    return make


def job(tracker: TrackerProcess, job_id: str) -> job_pb2.Job:
    return tracker.calls.jobs.GetJob(jobs_pb2.GetJobRequest(id=job_id))


def wait_for_state(tracker: TrackerProcess, job_id: str, state: int) -> job_pb2.Job:
    return wait_until(
        lambda: current if (current := job(tracker, job_id)).state == state else None, job_pb2.JobState.Name(state), 30
    )


def test_a_job_from_submission_to_result(tracker: TrackerProcess, board: StandInAgent, worker: Make) -> None:
    submitted = submit(tracker, max_trials=4)
    assert submitted.state == job_pb2.JOB_STATE_QUEUED
    assert re.fullmatch("net-[2-9a-z]{6}", submitted.id)
    assert submitted.device_class == board.joined.device_class
    assert submitted.target == board.joined.target
    seen: list[job_pb2.Job] = []
    watching = threading.Thread(
        target=lambda: seen.extend(tracker.calls.jobs.WatchJob(jobs_pb2.GetJobRequest(id=submitted.id)))
    )
    watching.start()
    first = worker()
    started = first.wait_for_start(submitted.id)
    assert (started.target, started.spec.max_trials) == (submitted.target, 4)
    first.progress(submitted.id, "tuning", 1.5, task_plans(submitted.id))
    stream = MeasureClient(tracker.address, job_id=submitted.id, device_class=started.device_class)
    for n in range(4):
        stream.trial(f"{submitted.id}/t{n}", context(f"{submitted.id}/{n % 2}", f"w{n % 2}"))
    stream.wait_for(*(f"{submitted.id}/t{n}" for n in range(4)))
    stream.close()
    package = tracker.upload(b"model.so")
    first.finish(submitted.id, package)
    wait_until(lambda: first.finished_seen == [submitted.id], "finished_seen")
    watching.join(20)
    last = seen[-1]
    assert (last.state, last.trials, last.tuned_for_s) == (job_pb2.JOB_STATE_DONE, 4, 1.5)
    assert [(t.trials, t.best_s) for t in last.tasks] == [(2, 0.001), (2, 0.001)]
    assert last.result.files[0].content.digest == package.digest
    assert [j.state for j in seen] == sorted(j.state for j in seen)
    # A repeated end is answered again and changes nothing.
    first.fail(submitted.id, "late")
    wait_until(lambda: first.finished_seen == [submitted.id] * 2, "finished_seen again")
    assert job(tracker, submitted.id).state == job_pb2.JOB_STATE_DONE
    listed = tracker.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest(state=job_pb2.JOB_STATE_DONE)).jobs
    assert [j.id for j in listed] == [submitted.id]
    workload = tracker.calls.log.GetWorkload(log_pb2.GetWorkloadRequest(key="w1"))
    assert (workload.name, workload.flops) == ("task1", 1e6)
    best = tracker.calls.log.BestRecords(log_pb2.BestRecordsRequest(pool="x86_64")).records
    assert [r.workload for r in best] == ["w0", "w1"]


def test_the_same_request_is_the_same_job(tracker: TrackerProcess, board: StandInAgent) -> None:
    assert submit(tracker, "r1").id == submit(tracker, "r1").id
    assert submit(tracker, "r2").id != submit(tracker, "r1").id


def test_an_id_may_be_shortened(tracker: TrackerProcess, board: StandInAgent) -> None:
    ids = {submit(tracker, model_name=name).id for name in ("alpha", "beta", "beta")}
    assert job(tracker, "al").id in ids
    with pytest.raises(grpc.RpcError) as caught:
        job(tracker, "beta")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert "several jobs" in caught.value.details()


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        (
            {"kind": job_pb2.JOB_KIND_CHECK, "pool": "", "device_class": "pi4"},
            grpc.StatusCode.INVALID_ARGUMENT,
            "name the pool as well",
        ),
        ({"pool": ""}, grpc.StatusCode.NOT_FOUND, "no pool ''"),
        ({"pool": "attic"}, grpc.StatusCode.NOT_FOUND, "this farm has arm64, armv7, riscv64, synthetic, x86_64"),
        ({"pool": "arm64"}, grpc.StatusCode.ABORTED, "board is in x86_64"),
        ({"engine": "tea-leaves"}, grpc.StatusCode.INVALID_ARGUMENT, "no engine 'tea-leaves': this farm has auto"),
        ({"kind": 0}, grpc.StatusCode.INVALID_ARGUMENT, "JobSpec.kind is not set"),
        ({"kind": 99}, grpc.StatusCode.INVALID_ARGUMENT, "upgrade the tracker"),
        ({"max_trials": 0}, grpc.StatusCode.INVALID_ARGUMENT, "needs a limit"),
        ({"priority": 5}, grpc.StatusCode.INVALID_ARGUMENT, "no priority 5: it goes from -4 to 4"),
        ({"budget_s": -1.0}, grpc.StatusCode.INVALID_ARGUMENT, "must be positive"),
        ({"budget_s": math.nan}, grpc.StatusCode.INVALID_ARGUMENT, "JobSpec.budget_s is no number"),
        (
            {"templates": [job_pb2.TemplateFile(name="mine.py")]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "templates are for auto and the autotvm engines, and 'ansor' has no use for them",
        ),
        (
            {"templates": [job_pb2.TemplateFile(name="mine.py")], "engine": "autotvm"},
            grpc.StatusCode.INVALID_ARGUMENT,
            "the templates mine.py (no digest): not uploaded",
        ),
        ({"operator": "op.py"}, grpc.StatusCode.INVALID_ARGUMENT, "op.py names no operator: write FILE.py:NAME"),
        ({"operator": "op.py:a b"}, grpc.StatusCode.INVALID_ARGUMENT, "op.py:a b names no operator"),
        (
            {"parameters": [job_pb2.Parameter(name="N", value="1")]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "takes no parameters",
        ),
        ({"model": measurement_pb2.Artifact(digest="ab" * 32)}, grpc.StatusCode.INVALID_ARGUMENT, "not uploaded"),
        ({"model": measurement_pb2.Artifact(digest="../etc")}, grpc.StatusCode.INVALID_ARGUMENT, "not uploaded"),
    ],
)
def test_jobs_that_cannot_be(
    refusing: TrackerProcess, changes: dict[str, Any], code: grpc.StatusCode, sentence: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        submit(refusing, **changes)
    assert caught.value.code() is code
    assert sentence in caught.value.details()
    assert not refusing.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest()).jobs


def test_jobs_of_a_state_that_the_tracker_does_not_know_are_not_listed(refusing: TrackerProcess) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        refusing.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest(state=99))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "does not know the value 99: upgrade the tracker" in caught.value.details()


def test_a_lost_board_is_named_when_none_fits(tracker: TrackerProcess, board: StandInAgent) -> None:
    board.cut()
    wait_until(lambda: tracker.devices()[0].state == device_pb2.DEVICE_STATE_LOST, "lost board")
    with pytest.raises(grpc.RpcError, match="board is lost"):
        submit(tracker)


def test_a_synthetic_board_serves_only_who_asks_for_it(tracker: TrackerProcess, closing: ExitStack) -> None:
    made = StandInAgent(tracker.address, "model", mode=RunnerMode.SYNTHETIC)
    closing.callback(made.cut)
    with pytest.raises(grpc.RpcError, match="model is in synthetic"):
        submit(tracker)
    assert submit(tracker, pool="synthetic").state == job_pb2.JOB_STATE_QUEUED


def test_a_compile_job_needs_no_limit(tracker: TrackerProcess, board: StandInAgent) -> None:
    assert submit(tracker, kind=job_pb2.JOB_KIND_COMPILE, max_trials=0).state == job_pb2.JOB_STATE_QUEUED


def test_a_check_needs_neither_pool_nor_board(tracker: TrackerProcess, closing: ExitStack) -> None:
    submitted = submit(tracker, kind=job_pb2.JOB_KIND_CHECK, pool="", max_trials=0)
    assert (submitted.device_class, submitted.group) == ("", "")
    assert json.loads(submitted.target)["kind"] == "llvm"
    worker = StandInWorker(tracker.address)
    closing.callback(worker.cut)
    assert worker.wait_for_start(submitted.id).target == submitted.target
    report = job_pb2.CheckReport(
        inputs=[job_pb2.TensorOutline(name="x", dims=["1", "?"], dtype="float32")],
        obstacles=[job_pb2.Obstacle(node="n", operator="Foo", reason="nobody knows it")],
        peaks=job_pb2.Peaks(flops_per_s=1e9, bytes_per_s=2e9),
    )
    finished = work_pb2.JobFinished(job_id=submitted.id, result=job_pb2.JobResult(check=report))
    worker.say(finished=finished)
    wait_until(lambda: worker.finished_seen == [submitted.id], "finished_seen")
    assert job(tracker, submitted.id).result.check == report


def test_jobs_go_to_workers_in_their_order(tracker: TrackerProcess, worker: Make) -> None:
    ids = [submit(tracker).id for _ in range(3)]
    first, second = worker("w1"), worker("w2")
    wait_until(lambda: len(first.starts) + len(second.starts) == 2, "two started jobs")
    assert {*first.starts, *second.starts} == set(ids[:2])
    first.fail(first.starts[0], "Conv of opset 3 is not supported", input_error=True)
    wait_until(lambda: ids[2] in first.starts, "start of the third")
    refused = job(tracker, first.starts[0])
    assert (refused.state, refused.error, refused.input_error) == (
        job_pb2.JOB_STATE_REFUSED,
        "Conv of opset 3 is not supported",
        True,
    )
    listed = tracker.calls.jobs.ListJobs
    assert refused.id not in [each.id for each in listed(jobs_pb2.ListJobsRequest()).jobs]
    [found] = listed(jobs_pb2.ListJobsRequest(state=job_pb2.JOB_STATE_REFUSED)).jobs
    assert found.id == refused.id
    assert "Traceback: here" in tracker.output()


def test_jobs_that_wait_tell_their_places(tracker: TrackerProcess, worker: Make) -> None:
    ids = [submit(tracker).id for _ in range(3)]
    urgent = submit(tracker, priority=2)
    assert urgent.place == 1
    first = worker("w1")
    first.wait_for_start(urgent.id)
    places = {each.id: each.place for each in tracker.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest()).jobs}
    assert places == {urgent.id: 0, ids[0]: 1, ids[1]: 2, ids[2]: 3}
    last = job(tracker, ids[2])
    assert last.phase == "waiting for a worker, 2 jobs before it"
    watched = tracker.calls.jobs.WatchJob(jobs_pb2.GetJobRequest(id=ids[2]))
    assert next(watched).place == 3
    tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=ids[0]))
    assert next(watched).place == 2
    watched.cancel()


def test_urgent_jobs_go_to_workers_first(tracker: TrackerProcess, worker: Make) -> None:
    ids = {priority: submit(tracker, priority=priority).id for priority in (0, -1, 2)}
    first = worker()
    for priority in (2, 0, -1):
        assert first.wait_for_start(ids[priority]).spec.priority == priority
        first.fail(ids[priority], "no")
    assert first.starts == [ids[2], ids[0], ids[-1]]


def test_a_warm_worker_is_told_of_and_gets_the_job(tracker: TrackerProcess, worker: Make) -> None:
    def warm() -> int:
        return tracker.calls.farm.GetStatus(farm_pb2.GetStatusRequest()).workers_warm

    cold, hot = worker("w1"), worker("w2")
    wait_until(lambda: tracker.calls.farm.GetStatus(farm_pb2.GetStatusRequest()).workers_connected == 2, "both workers")
    assert warm() == 0
    hot.say(alive=work_pb2.WorkerAlive(warm=True))
    wait_until(lambda: warm() == 1, "a warm worker")
    hot.wait_for_start(submit(tracker).id)
    hot.say(alive=work_pb2.WorkerAlive(warm=False))
    wait_until(lambda: warm() == 0, "a worker that is warm no more")
    cold.wait_for_start(submit(tracker).id)


def test_a_queued_job_says_what_it_waits_for(tracker: TrackerProcess, board: StandInAgent, worker: Make) -> None:
    queued = submit(tracker)
    assert "no tuning worker is connected; the tracker's log says why" in queued.phase
    worker().wait_for_start(queued.id)
    assert submit(tracker).phase == "waiting for a worker"


def test_cancelling_a_queued_job(tracker: TrackerProcess, worker: Make) -> None:
    queued = submit(tracker)
    assert tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=queued.id)).state == job_pb2.JOB_STATE_CANCELLED
    other = submit(tracker)
    first = worker()
    first.wait_for_start(other.id)
    assert first.starts == [other.id]


def test_cancelling_a_running_job_drops_its_trials_at_once(
    tracker: TrackerProcess, board: StandInAgent, worker: Make
) -> None:
    board.run = lambda request: None
    first, running = worker(), submit(tracker)
    waiting = submit(tracker)
    first.wait_for_start(running.id)
    stream = MeasureClient(tracker.address, job_id=running.id)
    for n in range(5):
        stream.trial(f"t{n}", context())
    wait_until(lambda: len(board.received) == 2, "trials on the board")
    board.say(started=[board.received[0]])
    wait_until(lambda: job(tracker, running.id).utilisation > 0, "executing board")
    tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=running.id))
    answers = stream.wait_for(*(f"t{n}" for n in range(5)))
    assert {a.outcome for a in answers} == {measurement_pb2.OUTCOME_CANCELLED}
    wait_until(lambda: sorted(board.cancelled) == ["t0", "t1"], "cancelling on the board")
    wait_until(lambda: first.cancelled == [running.id], "cancel order")
    # It executes no more: its share of the last minute falls.
    idle = tracker.devices()[0].utilisation
    wait_until(lambda: tracker.devices()[0].utilisation < idle, "falling utilisation", timeout_s=5.0)
    assert tracker.devices()[0].state == device_pb2.DEVICE_STATE_IDLE
    first.wait_for_start(waiting.id)
    stream.trial("late", context())
    assert stream.wait_for("late")[0].outcome == measurement_pb2.OUTCOME_CANCELLED
    stream.close()
    assert job(tracker, running.id).state == job_pb2.JOB_STATE_CANCELLED
    assert not list(tracker.calls.log.QueryRecords(record_pb2.RecordFilter()))
    with pytest.raises(grpc.RpcError, match="measures no more"):
        list(tracker.calls.measuring.Measure(iter([_opened(running.id)])))
    first.finish(running.id)
    wait_until(lambda: first.finished_seen == [running.id], "finished_seen")
    assert job(tracker, running.id).state == job_pb2.JOB_STATE_CANCELLED
    with pytest.raises(grpc.RpcError, match="no job 'nobody'"):
        tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id="nobody"))


def _opened(job_id: str) -> measuring_pb2.MeasureCall:
    return measuring_pb2.MeasureCall(open=measuring_pb2.OpenMeasure(client="c", pool="x86_64", job_id=job_id))


def test_a_worker_that_comes_back_keeps_its_job(tracker: TrackerProcess, worker: Make) -> None:
    first, running = worker(), submit(tracker)
    first.wait_for_start(running.id)
    first.cut()
    back = worker(running_job=running.id)
    back.progress(running.id, "tuning again", 3.0)
    wait_until(lambda: job(tracker, running.id).phase == "tuning again", "progress")
    assert (back.starts, back.cancelled) == ([], [])
    assert job(tracker, running.id).worker_id == "w1"


def test_a_worker_that_forgot_its_job_gets_it_at_once(tracker: TrackerProcess, worker: Make) -> None:
    first, running = worker(), submit(tracker)
    first.wait_for_start(running.id)
    first.progress(running.id, "tuning", 3.0)
    wait_until(lambda: job(tracker, running.id).tuned_for_s == 3.0, "progress")
    first.cut()
    again = worker().wait_for_start(running.id)
    assert again.tuned_for_s == 3.0


def test_a_job_whose_worker_stays_away_goes_to_another(tracker: TrackerProcess, worker: Make) -> None:
    first, running = worker("w1"), submit(tracker)
    first.wait_for_start(running.id)
    second = worker("w2")
    first.cut()
    second.wait_for_start(running.id)
    # The first comes back too late: its job is another's.
    late = worker("w1", running_job=running.id)
    wait_until(lambda: late.cancelled == [running.id], "cancel order")
    late.progress(running.id, "tuning")
    wait_until(lambda: late.cancelled == [running.id] * 2, "second cancel order")
    assert job(tracker, running.id).worker_id == "w2"


def test_a_job_that_kills_its_workers_fails(tracker: TrackerProcess, worker: Make) -> None:
    running = submit(tracker)
    for _ in range(3):
        dying = worker()
        dying.wait_for_start(running.id)
        dying.cut()
    worker()
    failed = wait_for_state(tracker, running.id, job_pb2.JOB_STATE_FAILED)
    assert "3 times in a row" in failed.error


def test_a_killed_tracker_takes_up_its_jobs(tracker: TrackerProcess, worker: Make) -> None:
    first, running = worker(), submit(tracker)
    queued = submit(tracker)
    first.wait_for_start(running.id)
    first.progress(running.id, "tuning", 5.0, task_plans(running.id))
    wait_until(lambda: len(job(tracker, running.id).tasks) == 2, "tasks")
    tracker.kill()
    tracker.start()
    states = {j.id: j.state for j in tracker.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest()).jobs}
    assert states == {running.id: job_pb2.JOB_STATE_RUNNING, queued.id: job_pb2.JOB_STATE_QUEUED}
    back = worker(running_job=running.id)
    back.progress(running.id, "packaging", 6.0)
    seen = wait_until(
        lambda: current if (current := job(tracker, running.id)).phase == "packaging" else None, "progress"
    )
    assert (seen.tuned_for_s, len(seen.tasks)) == (6.0, 2)
    assert back.starts == []


def test_a_result_without_its_files_is_no_result(tracker: TrackerProcess, worker: Make) -> None:
    first, running = worker(), submit(tracker)
    first.wait_for_start(running.id)
    first.finish(running.id, measurement_pb2.Artifact(digest="ab" * 32))
    wait_until(lambda: first.finished_seen == [running.id], "finished_seen")
    ended = job(tracker, running.id)
    assert ended.state == job_pb2.JOB_STATE_FAILED
    assert "did not upload file0" in ended.error


@pytest.mark.parametrize(
    ("hello", "sentence"),
    [
        ({"protocol_version": 99}, "upgrade the tracker"),
        ({"worker_id": ""}, "no id"),
        ({"versions": {"tvm": "0.26.0"}}, "the worker on h has TVM 0.26.0 and this farm works with 0.27.0"),
    ],
)
def test_workers_that_are_refused(tracker: TrackerProcess, worker: Make, hello: dict[str, Any], sentence: str) -> None:
    refused = worker(**hello)
    wait_until(lambda: refused.ended, "end of the stream")
    assert sentence in refused.refused


def test_a_pool_in_use_is_not_deleted(tracker: TrackerProcess, board: StandInAgent) -> None:
    tracker.calls.devices.PutPool(devices_pb2.PutPoolRequest(name="lab", selector={"board": "bench-board"}))
    queued = submit(tracker, pool="lab")
    with pytest.raises(grpc.RpcError, match="is queued on the pool 'lab'"):
        tracker.calls.devices.DeletePool(devices_pb2.DeletePoolRequest(name="lab"))
    tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=queued.id))
    tracker.calls.devices.DeletePool(devices_pb2.DeletePoolRequest(name="lab"))
    assert "lab" not in {p.name for p in tracker.calls.devices.ListPools(devices_pb2.ListPoolsRequest()).pools}


def test_a_model_stored_before_is_still_there_after_a_kill(tracker: TrackerProcess, board: StandInAgent) -> None:
    model = tracker.upload(b"x" * (3 << 20))
    tracker.kill()
    tracker.start()
    data = b"".join(
        c.data for c in tracker.calls.artifacts.GetArtifact(artifacts_pb2.GetArtifactRequest(digest=model.digest))
    )
    assert data == b"x" * (3 << 20)
    with pytest.raises(grpc.RpcError, match="no artifact"):
        list(tracker.calls.artifacts.GetArtifact(artifacts_pb2.GetArtifactRequest(digest="ab" * 32)))
    assert spec(tracker, model=model).model.size == 3 << 20
