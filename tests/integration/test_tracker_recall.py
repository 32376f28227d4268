"""Trials that a real tracker answers from its log instead of by a board."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.measure_client import MeasureClient, context, request
from tests.support.stand_in_agent import StandInAgent, fast
from tests.support.stand_in_worker import StandInWorker, submit, task_plans
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.protos.farm.v1 import job_pb2, jobs_pb2, log_pb2, measurement_pb2, measuring_pb2, record_pb2, work_pb2

PLAN = measurement_pb2.TimingPlan(number=1, repeat=3, repeats_to_cooldown=1)
VERSIONS = {"tvm": "0.27", "tvm_ffi": "0.1"}


class Farm:
    """A tracker, a board, and a worker that has whatever job is submitted."""

    def __init__(self, state: Path, stack: ExitStack) -> None:
        self.tracker = TrackerProcess(state)
        stack.callback(self.tracker.stop)
        self._stack = stack
        self.board = self.agent("board")
        self.worker = StandInWorker(self.tracker.address)
        stack.callback(self.worker.cut)

    def agent(self, name: str, **join: Any) -> StandInAgent:
        agent = StandInAgent(self.tracker.address, name, **join)
        self._stack.callback(agent.cut)
        return agent

    def client(self, **opened: Any) -> MeasureClient:
        client = MeasureClient(self.tracker.address, **opened)
        self._stack.callback(client.close)
        return client

    def job(self, **spec: Any) -> job_pb2.Job:
        """A new job, running; the one before has ended."""
        job = submit(self.tracker, **spec)
        started = self.worker.wait_for_start(job.id)
        self.worker.progress(job.id, tasks=task_plans(job.id))
        wait_until(lambda: self.get(job.id).tasks, "the job's tasks")
        return started

    def end(self, job: job_pb2.Job) -> None:
        self.worker.finish(job.id)
        wait_until(lambda: self.get(job.id).state == job_pb2.JOB_STATE_DONE, "end of the job")

    def get(self, job_id: str) -> job_pb2.Job:
        return self.tracker.calls.jobs.GetJob(jobs_pb2.GetJobRequest(id=job_id))

    def recall(self, job_id: str, *trials: tuple[str, str], **request: Any) -> dict[str, measurement_pb2.Measurement]:
        """What the log has of candidates, as (trial id, trace): by trial id."""
        candidates = [
            work_pb2.RecallCandidate(trial_id=trial_id, context=about(job_id, trace)) for trial_id, trace in trials
        ]
        asked = work_pb2.RecallRequest(job_id=job_id, candidates=candidates, plan=request.pop("plan", PLAN), **request)
        return {found.trial_id: found for found in self.tracker.calls.work.Recall(asked).measurements}

    def records(self, **query: Any) -> list[record_pb2.Record]:
        return list(self.tracker.calls.log.QueryRecords(record_pb2.RecordFilter(**query)))

    def searches(self, job_id: str) -> list[work_pb2.PastSearch]:
        return list(self.tracker.calls.work.GetSearches(jobs_pb2.GetJobRequest(id=job_id)))


def about(job_id: str, trace: str, engine: str = "ansor") -> measuring_pb2.RecordContext:
    return context(f"{job_id}/0" if job_id else "", trace=trace, engine=engine, versions=VERSIONS)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    with ExitStack() as stack:
        yield Farm(tmp_path / "state", stack)


def measured(farm: Farm, job_id: str, *trials: tuple[str, str]) -> None:
    """Trials that the board answers for a job, as (trial id, trace)."""
    client = farm.client(job_id=job_id)
    for trial_id, trace in trials:
        client.trial(trial_id, about(job_id, trace, "ansor" if trace else "untuned"))
    client.wait_for(*(trial_id for trial_id, _ in trials))
    client.close()


def test_another_job_has_what_was_measured_once(farm: Farm) -> None:
    first = farm.job(user="ada")
    measured(farm, first.id, ("a", "A"), ("b", "B"), ("u", ""))
    farm.end(first)
    second = farm.job(user="bob", seed=9)
    found = farm.recall(second.id, ("a2", "A"), ("c2", "C"))
    assert list(found) == ["a2"]
    assert (list(found["a2"].run_secs), found["a2"].device_name) == ([0.001] * 3, "board")
    untuned = work_pb2.RecallCandidate(trial_id="u2", context=about(second.id, "", "untuned"))
    asked = work_pb2.RecallRequest(job_id=second.id, candidates=[untuned], plan=PLAN)
    assert [m.trial_id for m in farm.tracker.calls.work.Recall(asked).measurements] == ["u2"]
    # The answer was lost, say: asked again it is the same, and counted once.
    assert list(farm.recall(second.id, ("a2", "A"))) == ["a2"]
    copies = farm.records(job_id=second.id)
    assert [(r.trial_id, r.copied_from, r.user) for r in copies] == [("a2", "a", "bob"), ("u2", "u", "bob")]
    assert not copies[0].measurement.timeline.started_s
    job = farm.get(second.id)
    assert (job.trials, job.recalled, job.tasks[0].best_s, job.tasks[0].untuned_s) == (1, 1, 0.001, 0.001)
    times = farm.tracker.calls.jobs.GetJobTimeline(jobs_pb2.GetJobRequest(id=second.id))
    assert (times.trials, times.recalled, list(times.devices)) == (1, 1, [])
    # What was copied is no second measurement.
    best = farm.tracker.calls.log.BestRecords(log_pb2.BestRecordsRequest(workloads=["w0"], per_workload=9))
    assert {r.trial_id for r in best.records} == {"a", "b", "u"}
    with urllib.request.urlopen(farm.tracker.endpoint["metrics"]) as page:
        assert "tvmfarm_trials_recalled_total 3.0" in page.read().decode()
    assert farm.board.received == ["a", "b", "u"]


def test_nothing_else_is_taken_for_it(farm: Farm) -> None:
    first = farm.job()
    measured(farm, first.id, ("a", "A"))
    farm.end(first)
    second = farm.job(seed=9)
    assert farm.recall(second.id, ("x", "A"), plan=measurement_pb2.TimingPlan(number=1, repeat=4)) == {}
    other = work_pb2.RecallCandidate(trial_id="y", context=about(second.id, "A"))
    for change in ({"workload": "w1"}, {"target": '{"kind":"c"}'}, {"versions": {"tvm": "0.26"}}):
        fields = {field.name: getattr(other.context, field.name) for field in other.context.DESCRIPTOR.fields}
        changed = work_pb2.RecallCandidate(trial_id="y", context=measuring_pb2.RecordContext(**{**fields, **change}))
        asked = work_pb2.RecallRequest(job_id=second.id, candidates=[changed], plan=PLAN)
        assert not farm.tracker.calls.work.Recall(asked).measurements, change
    farm.end(second)
    fresh = farm.job(fresh=True)
    assert farm.recall(fresh.id, ("z", "A")) == {}
    assert farm.get(fresh.id).trials == 0


@pytest.mark.parametrize(("mode", "pool"), [(RunnerMode.SYNTHETIC, "synthetic"), (RunnerMode.MICRO, "x86_64")])
def test_another_class_never_answers(farm: Farm, mode: RunnerMode, pool: str) -> None:
    first = farm.job()
    measured(farm, first.id, ("a", "A"))
    farm.end(first)
    other = farm.agent("other", runner=RunnerInfo(mode, 1, "0.27.0", "0.1.14", 4, ("llvm",)))
    assert other.joined is not None
    assert other.joined.device_class != first.device_class
    second = farm.job(pool=pool, device_class=other.joined.device_class)
    assert second.device_class == other.joined.device_class
    assert farm.recall(second.id, ("x", "A")) == {}
    asked = {"plan": PLAN, "device_class": other.joined.device_class}
    assert farm.recall("", ("y", "A"), **asked) == {}
    assert list(farm.recall("", ("y", "A"), **{**asked, "device_class": first.device_class})) == ["y"]


def test_who_measures_without_a_job_is_answered_from_the_log_too(farm: Farm) -> None:
    first = farm.job()
    measured(farm, first.id, ("a", "A"))
    farm.end(first)
    client = farm.client(user="bob")
    client.trial("x", about("", "A"))
    client.trial("y", about("", "B"))
    client.trial("unrecorded")
    client.wait_for("x", "y", "unrecorded")
    assert farm.board.received == ["a", "y", "unrecorded"]
    assert [(r.trial_id, r.copied_from, r.user) for r in farm.records()][1:] == [("x", "a", "bob"), ("y", "", "bob")]
    # Where it is asked for, where the board itself is meant, and where values come back, it is measured.
    device_id = farm.tracker.devices()[0].id
    for number, opened in enumerate(({"fresh": True}, {"device_id": device_id}, {"job_id": farm.job(seed=5).id})):
        again = farm.client(**opened)
        again.trial(f"m{number}", about("", "A"))
        again.wait_for(f"m{number}")
    valued = farm.client()
    valued.trial("v", about("", "A"), outputs=[0])
    valued.wait_for("v")
    assert farm.board.received[3:] == ["m0", "m1", "m2", "v"]


def test_several_classes_of_a_pool_are_measured(farm: Farm) -> None:
    first = farm.job()
    measured(farm, first.id, ("a", "A"))
    farm.end(first)
    farm.agent("other", mode=RunnerMode.MICRO)
    client = farm.client()
    client.trial("x", about("", "A"))
    client.wait_for("x")
    assert [r.copied_from for r in farm.records()] == ["", ""]
    named = farm.client(device_class=first.device_class)
    named.trial("y", about("", "A"))
    named.wait_for("y")
    assert farm.records()[-1].copied_from in ("a", "x"), "whichever of the two boards had x"


def cut(request: measurement_pb2.MeasureRequest) -> measurement_pb2.Measurement:
    answer = fast(request)
    if request.limits.hopeless_s:
        del answer.run_secs[:]
        answer.run_secs.append(1.0)
        answer.cut_short = True
    return answer


def test_a_trial_cut_short_answers_where_it_would_be_again(farm: Farm) -> None:
    farm.board.run = cut
    first = farm.job()
    client = farm.client(job_id=first.id)
    hopeless = measuring_pb2.Trial(request=_hopeless("slow", 0.5), context=about(first.id, "slow"))
    client.calls.put(measuring_pb2.MeasureCall(trials=[hopeless]))
    client.wait_for("slow")
    second = farm.recall(first.id, ("s1", "slow"), hopeless=1.06)
    assert second == {}, "it is the best that the log has"
    client.trial("best", about(first.id, "best"))
    client.wait_for("best")
    assert farm.recall(first.id, ("s2", "slow")) == {}, "a whole plan is wanted"
    assert list(farm.recall(first.id, ("s3", "slow"), hopeless=1.06)) == ["s3"]
    assert farm.recall(first.id, ("s4", "slow"), hopeless=2000.0) == {}
    anybody = farm.client()
    for trial_id, hopeless_s in (("q", 5.0), ("r", 0.9), ("p", 0.0)):
        trial = measuring_pb2.Trial(request=_hopeless(trial_id, hopeless_s), context=about("", "slow"))
        anybody.calls.put(measuring_pb2.MeasureCall(trials=[trial]))
        anybody.wait_for(trial_id)
    copied = {record.trial_id for record in farm.records() if record.copied_from}
    assert {"q", "r", "p"} & copied == {"r"}


def _hopeless(trial_id: str, hopeless_s: float) -> measurement_pb2.MeasureRequest:
    made = request(trial_id)
    made.limits.hopeless_s = hopeless_s
    return made


def test_steps_of_a_search_are_kept_and_found_by_who_asks_for_the_same(farm: Farm) -> None:
    first = farm.job(user="ada")
    measured(farm, first.id, ("other", "O"))
    steps = [
        job_pb2.SearchStep(number=0, count=8, proposed=["a", "b"], taught=["other", "gone"]),
        job_pb2.SearchStep(
            number=1, task=1, count=8, proposed=["c"], learned=[job_pb2.Lesson(candidate=1, build_s=0.1)]
        ),
    ]
    for step in [*steps, steps[0]]:
        assert farm.recall(first.id, step=step) == {}
    found = farm.searches(first.id)
    assert [past.step for past in found] == steps
    assert [[record.trial_id for record in past.taught] for past in found] == [["other"], []]
    assert {past.job_id for past in found} == {first.id}
    farm.end(first)
    same = farm.job(user="bob", max_trials=99)
    assert [past.job_id for past in farm.searches(same.id)] == [first.id] * 2
    farm.recall(same.id, step=steps[0])
    assert [past.job_id for past in farm.searches(same.id)] == [same.id]
    farm.end(same)
    unlike, fresh = farm.job(seed=4), submit(farm.tracker, fresh=True)
    assert farm.searches(unlike.id) == farm.searches(fresh.id) == []


def test_near_workloads_have_their_best_records(farm: Farm) -> None:
    first = farm.job()
    client = farm.client(job_id=first.id)
    client.trial("other", context(f"{first.id}/1", "w1", trace="B"))
    client.trial("mine", about(first.id, "A"))
    client.wait_for("other", "mine")
    asked = log_pb2.BestRecordsRequest(near="w0", device_class=first.device_class, per_workload=4)
    assert [r.trial_id for r in farm.tracker.calls.log.BestRecords(asked).records] == ["other"]
    nothing = log_pb2.BestRecordsRequest(near="nothing")
    assert not farm.tracker.calls.log.BestRecords(nothing).records
    with pytest.raises(grpc.RpcError, match="ask for either"):
        farm.tracker.calls.log.BestRecords(log_pb2.BestRecordsRequest(near="w0", workloads=["w1"]))


@pytest.mark.parametrize(
    ("request_fields", "said"),
    [
        ({"job_id": "nobody"}, "there is no job 'nobody'"),
        ({}, "candidates of a job, or of a device class"),
        ({"device_class": "pi4", "step": job_pb2.SearchStep()}, "without a search step"),
    ],
)
def test_what_is_refused(farm: Farm, request_fields: dict[str, Any], said: str) -> None:
    with pytest.raises(grpc.RpcError, match=said):
        farm.tracker.calls.work.Recall(work_pb2.RecallRequest(**request_fields))
    with pytest.raises(grpc.RpcError, match="there is no job"):
        farm.searches("nobody")


def test_a_job_that_has_ended_asks_no_more_until_it_goes_on(farm: Farm) -> None:
    job = farm.job()
    measured(farm, job.id, ("a", "A"))
    with pytest.raises(grpc.RpcError, match="is running: it can go on once it has ended"):
        resume(farm, job.id, trials=5)
    farm.end(job)
    with pytest.raises(grpc.RpcError, match=f"job {job.id} is done: it needs no more trials"):
        farm.recall(job.id, ("x", "A"))
    gone_on = resume(farm, job.id, trials=5)
    assert (gone_on.state, gone_on.spec.max_trials) == (job_pb2.JOB_STATE_QUEUED, 6)
    again = farm.worker.wait_for_start(job.id, times=2)
    assert (again.spec.max_trials, again.trials) == (6, 1)
    assert list(farm.recall(job.id, ("x", "A"))) == ["x"]
    farm.end(job)
    with pytest.raises(grpc.RpcError, match="there is no job 'nobody'"):
        resume(farm, "nobody", trials=5)


def test_a_group_goes_on_job_by_job(farm: Farm) -> None:
    farm.agent("other", mode=RunnerMode.MICRO)
    first = submit(farm.tracker)
    assert first.group
    farm.tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=first.group))
    with pytest.raises(
        grpc.RpcError, match=f"job {first.group} is a group of several: name the one that goes on, {first.group}.1 or"
    ):
        resume(farm, first.group, trials=5)
    assert resume(farm, f"{first.group}.2", trials=5).state == job_pb2.JOB_STATE_QUEUED
    farm.worker.wait_for_start(f"{first.group}.2")


def resume(farm: Farm, job_id: str, **more: Any) -> job_pb2.Job:
    return farm.tracker.calls.jobs.ResumeJob(jobs_pb2.ResumeJobRequest(id=job_id, **more))
