"""Trials through a real tracker process to agents that speak real gRPC."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
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
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.farm.v1 import (
    artifacts_pb2,
    device_pb2,
    fleet_pb2,
    job_pb2,
    jobs_pb2,
    measurement_pb2,
    measuring_pb2,
    record_pb2,
)


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "state")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    """One tracker for all that is refused: it must be as before after each."""
    process = TrackerProcess(tmp_path_factory.mktemp("tracker") / "state")
    yield process
    process.stop()


@pytest.fixture
def agent(tracker: TrackerProcess) -> Iterator[Callable[..., StandInAgent]]:
    with ExitStack() as stack:

        def make(device_id: str, *args: Any, **join: Any) -> StandInAgent:
            made = StandInAgent(tracker.address, device_id, *args, **join)
            stack.callback(made.cut)
            return made

        yield make


@pytest.fixture
def client(tracker: TrackerProcess) -> Iterator[Callable[..., MeasureClient]]:
    with ExitStack() as stack:

        def make(**opened: Any) -> MeasureClient:
            made = MeasureClient(tracker.address, **opened)
            stack.callback(made.close)
            return made

        yield make


Make = Callable[..., Any]


def never(_: measurement_pb2.MeasureRequest) -> None:
    """A board that takes a kernel and does not answer."""


def records(tracker: TrackerProcess, **query: Any) -> list[record_pb2.Record]:
    return list(tracker.calls.log.QueryRecords(record_pb2.RecordFilter(**query)))


def test_three_agents_measure_and_the_records_say_which(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    agents = {name: agent(name) for name in ("board-0", "board-1", "board-2")}
    stream = client()
    trials = [f"t{n}" for n in range(30)]
    for trial in trials:
        stream.trial(trial, context(trace=trial, versions={"tvm": "0.27"}))
    stream.wait_for(*trials)
    stored = records(tracker)
    assert sorted(r.trial_id for r in stored) == sorted(trials)
    assert {r.measurement.device_name for r in stored} == set(agents)
    for name, board in agents.items():
        assert {r.trial_id for r in stored if r.measurement.device_name == name} == set(board.received)
        wait_until(lambda board=board: sorted(board.acknowledged) == sorted(board.received), "acknowledgement of all")
    timeline = stored[0].measurement.timeline
    steps = [timeline.proposed_s, timeline.built_s, timeline.queued_s, timeline.sent_s]
    steps += [timeline.answered_s, timeline.stored_s]
    assert steps == sorted(steps)
    assert timeline.searched_s == 0.5
    assert 0 < timeline.started_s < timeline.finished_s
    assert dict(stored[0].versions).keys() == {"tvm", "farm", "agent"}
    assert stored[0].measurement.device_class == next(iter(agents.values())).joined.device_class


def test_work_spreads_before_it_is_prefetched(agent: Make, client: Make) -> None:
    boards = [agent(f"board-{n}", never, slots=2) for n in range(3)]
    stream = client()
    for n in range(9):
        stream.trial(f"t{n}")
        if n < 3:
            wait_until(lambda n=n: sum(len(b.received) for b in boards) == n + 1, "dispatch")
    wait_until(lambda: all(len(b.received) == 2 for b in boards), "two on each board")
    assert sorted(b.received[0] for b in boards) == ["t0", "t1", "t2"]


def test_capacity_comes_first_and_whenever_it_changes(agent: Make, client: Make) -> None:
    stream = client()
    wait_until(lambda: stream.capacity is not None, "capacity")
    assert (stream.capacity.devices, stream.capacity.slots) == (0, 0)
    board = agent("board", slots=3)
    wait_until(lambda: stream.capacity.slots == 3, "capacity of one board")
    board.say(draining=True)
    wait_until(lambda: stream.capacity.devices == 0, "capacity without the draining board")


def test_a_trial_waits_for_a_device(agent: Make, client: Make) -> None:
    stream = client()
    stream.trial("t")
    wait_until(lambda: stream.capacity is not None, "capacity")
    agent("board")
    assert stream.wait_for("t")[0].outcome == measurement_pb2.OUTCOME_OK


def test_a_killed_agents_trials_go_to_others(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    dying = agent("dying", never, slots=2)
    stream = client()
    for n in range(4):
        stream.trial(f"t{n}", context())
    wait_until(lambda: len(dying.received) == 2, "two trials on the board")
    dying.cut()
    other = agent("other")
    stream.wait_for("t0", "t1", "t2", "t3")
    # First in line, in their order.
    assert other.received == ["t0", "t1", "t2", "t3"]
    assert {r.measurement.device_name for r in records(tracker)} == {"other"}
    states = {d.name: d.state for d in tracker.devices()}
    assert states["dying"] == device_pb2.DEVICE_STATE_LOST


def test_a_trial_that_loses_three_boards_is_unplaceable(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    stream = client()
    stream.trial("deadly", context())
    for n in range(3):
        board = agent(f"board-{n}", never)
        wait_until(lambda board=board: board.received == ["deadly"], "the trial")
        board.cut()
    (answer,) = stream.wait_for("deadly")
    assert answer.outcome == measurement_pb2.OUTCOME_UNPLACEABLE
    assert "3 times in a row a board was lost" in answer.detail
    assert "board-2" in answer.detail
    assert [r.trial_id for r in records(tracker)] == ["deadly"]


def test_the_first_result_of_a_trial_wins(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    first = agent("first", never)
    stream = client()
    stream.trial("t", context())
    wait_until(lambda: first.received, "the trial")
    first.cut()
    second = agent("second", never)
    wait_until(lambda: second.received, "the trial again")
    # The first board comes back with the answer that it could not deliver.
    back = agent("first", never)
    late = fast(back.requests.get("t") or second.requests["t"])
    late.run_secs[:] = [0.25] * 3
    back.answer(late)
    (answer,) = stream.wait_for("t")
    assert (answer.device_name, list(answer.run_secs)) == ("first", [0.25] * 3)
    wait_until(lambda: second.cancelled == ["t"], "cancelling of the other")
    second.answer(fast(second.requests["t"]))
    back.answer(late)
    wait_until(lambda: second.acknowledged == ["t"] and back.acknowledged == ["t", "t"], "acknowledgements")
    assert stream.times == {"t": 1}
    assert len(records(tracker)) == 1


def test_a_result_that_nobody_asked_for_is_acknowledged(tracker: TrackerProcess, agent: Make) -> None:
    board = agent("board")
    board.answer(fast(request("stranger")))
    wait_until(lambda: board.acknowledged == ["stranger"], "acknowledgement")
    assert records(tracker) == []


def test_what_a_draining_board_gives_back_goes_to_others(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    draining = agent("draining", never, slots=2)
    stream = client()
    for trial in ("t0", "t1"):
        stream.trial(trial)
    wait_until(lambda: len(draining.received) == 2, "two trials")
    draining.say(draining=True)
    draining.say(given_back=[fleet_pb2.GiveBack(trial_ids=["t1"], reason="draining")])
    other = agent("other")
    stream.wait_for("t1")
    assert other.received == ["t1"]
    draining.answer(fast(draining.requests["t0"]))
    stream.wait_for("t0")
    stream.trial("t2")
    stream.wait_for("t2")
    assert draining.received == ["t0", "t1"]


def test_a_board_that_only_gives_back_is_not_asked_for_ever(agent: Make, client: Make) -> None:
    board = agent("board", never)
    stream = client()
    stream.trial("t")
    for n in range(3):
        wait_until(lambda n=n: len(board.received) == n + 1, "the trial")
        board.say(given_back=[fleet_pb2.GiveBack(trial_ids=["t"], reason="no room for the library")])
    (answer,) = stream.wait_for("t")
    assert answer.outcome == measurement_pb2.OUTCOME_UNPLACEABLE
    assert "no room for the library" in answer.detail


def test_a_closed_stream_frees_its_boards_and_its_trials_can_come_again(agent: Make, client: Make) -> None:
    board = agent("board", never, slots=1)
    stream = client()
    for trial in ("t0", "t1"):
        stream.trial(trial)
    wait_until(lambda: board.received == ["t0"], "the trial")
    stream.close()
    wait_until(lambda: board.cancelled == ["t0"], "cancelling")
    board.run = fast
    again = client()
    for trial in ("t0", "t1"):
        again.trial(trial)
    again.wait_for("t0", "t1")
    assert board.received == ["t0", "t0", "t1"]


def test_a_client_that_half_closes_gets_all_its_answers(tracker: TrackerProcess, agent: Make) -> None:
    agent("board")
    calls = [measuring_pb2.MeasureCall(open=measuring_pb2.OpenMeasure(client="script", pool="x86_64"))]
    calls += [measuring_pb2.MeasureCall(trials=[measuring_pb2.Trial(request=request(f"t{n}"))]) for n in range(5)]
    replies = [m.trial_id for r in tracker.calls.measuring.Measure(iter(calls), timeout=20) for m in r.measurements]
    assert sorted(replies) == [f"t{n}" for n in range(5)]


def test_many_short_trials_travel_in_few_messages(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    board = agent("board", slots=2, short_slots=16)
    stream = client()
    trials = [f"t{n}" for n in range(200)]
    asked = [measuring_pb2.Trial(request=request(trial), context=context()) for trial in trials]
    stream.calls.put(measuring_pb2.MeasureCall(trials=asked))
    stream.wait_for(*trials)
    assert set(stream.times.values()) == {1}
    assert sorted(board.received) == sorted(trials)
    wait_until(lambda: len(board.acknowledged) == len(trials), "acknowledgements")
    assert sorted(board.acknowledged) == sorted(trials)
    assert len(records(tracker)) == len(trials)
    # An order and an acknowledgement each would be 400.
    assert board.messages < 150


def test_cancelling_one_trial(agent: Make, client: Make) -> None:
    board = agent("board", never, slots=1)
    stream = client()
    for trial in ("t0", "t1"):
        stream.trial(trial)
    wait_until(lambda: board.received == ["t0"], "the trial")
    for trial in ("t1", "t0", "unknown"):
        stream.calls.put(measuring_pb2.MeasureCall(cancelled=[trial]))
    answers = stream.wait_for("t0", "t1")
    assert {a.outcome for a in answers} == {measurement_pb2.OUTCOME_CANCELLED}
    wait_until(lambda: board.cancelled == ["t0"], "cancelling on the board")
    assert board.received == ["t0"]


def test_whole_models_go_to_full_mode_alone(agent: Make, client: Make) -> None:
    micro, full = agent("micro", mode=RunnerMode.MICRO), agent("full")
    stream = client(whole_models=True)
    for n in range(6):
        stream.trial(f"t{n}")
    stream.wait_for(*(f"t{n}" for n in range(6)))
    assert (len(micro.received), len(full.received)) == (0, 6)


def test_two_streams_share_a_board_by_its_seconds(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    order: list[str] = []

    def run(trial: measurement_pb2.MeasureRequest) -> measurement_pb2.Measurement:
        order.append(trial.trial_id)
        answer = fast(trial)
        seconds = 4.0 if trial.trial_id.startswith("slow") else 1.0
        answer.timeline.started_s = answer.timeline.finished_s - seconds
        return answer

    slow, quick = client(), client()
    for stream, name in ((slow, "slow"), (quick, "quick")):
        wait_until(lambda stream=stream: stream.capacity is not None, "open stream")
        for n in range(100):
            stream.trial(f"{name}{n}")
    metrics = f"http://127.0.0.1:{tracker.metrics_port}/metrics"
    wait_until(lambda: "tvmfarm_queue_depth 200.0" in _get(metrics), "200 queued trials")
    agent("board", run, slots=1)
    quick.wait_for("quick99")
    share = [t for t in order[: order.index("quick99")] if t.startswith("slow")]
    assert 20 <= len(share) <= 30


def _get(url: str) -> str:
    import urllib.request

    with urllib.request.urlopen(url, timeout=10) as response:
        return str(response.read().decode())


def test_outputs_come_back_and_are_not_stored(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    def run(trial: measurement_pb2.MeasureRequest) -> measurement_pb2.Measurement:
        answer = fast(trial)
        answer.outputs.add(shape=[1], dtype="float32", data=b"1234")
        return answer

    agent("board", run)
    stream = client()
    stream.trial("t", context())
    assert stream.wait_for("t")[0].outputs[0].data == b"1234"
    assert not records(tracker)[0].measurement.outputs


@pytest.mark.parametrize("size", [1000, 256 * 1024, 256 * 1024 + 1, 3 << 20])
def test_libraries_travel_inline_or_by_digest(tracker: TrackerProcess, agent: Make, client: Make, size: int) -> None:
    board = agent("board")
    library = bytes(range(256)) * (size // 256 + 1)
    library = library[:size]
    stream = client()
    stream.trial("t", library=library)
    stream.wait_for("t")
    sent = board.requests["t"].program.library
    assert sent.digest == hashlib.sha256(library).hexdigest()
    if size <= 256 * 1024:
        assert sent.inline == library
    else:
        assert not sent.inline
        chunks = [c.data for c in tracker.calls.fleet.FetchArtifact(fleet_pb2.ArtifactRequest(digest=sent.digest))]
        assert b"".join(chunks) == library
        assert max(map(len, chunks)) <= 1 << 20


def test_a_library_that_a_builder_left_with_the_tracker_is_named_alone(
    tracker: TrackerProcess, agent: Make, client: Make
) -> None:
    board, stream, library = agent("board"), client(), b"built elsewhere"
    left = tracker.calls.artifacts.PutArtifact(iter([artifacts_pb2.ArtifactUpload(data=library)]))
    trial = measuring_pb2.Trial(request=request("t", library=library))
    trial.request.program.library.ClearField("inline")
    stream.calls.put(measuring_pb2.MeasureCall(trials=[trial]))
    assert stream.wait_for("t")[0].outcome == measurement_pb2.OUTCOME_OK
    assert board.requests["t"].program.library == measurement_pb2.Artifact(digest=left.digest, size=len(library))
    chunks = tracker.calls.fleet.FetchArtifact(fleet_pb2.ArtifactRequest(digest=left.digest))
    assert b"".join(chunk.data for chunk in chunks) == library


def test_a_board_without_usable_timings_did_not_measure(agent: Make, client: Make) -> None:
    def run(trial: measurement_pb2.MeasureRequest) -> measurement_pb2.Measurement:
        answer = fast(trial)
        answer.run_secs[:] = [float("nan")]
        return answer

    agent("board", run)
    stream = client()
    stream.trial("t")
    (answer,) = stream.wait_for("t")
    assert answer.outcome == measurement_pb2.OUTCOME_RUN_ERROR
    assert "nan" in answer.detail


def test_an_outcome_that_the_tracker_does_not_know_costs_its_trial_alone(agent: Make, client: Make) -> None:
    def newer(asked: measurement_pb2.MeasureRequest) -> measurement_pb2.Measurement:
        answer = fast(asked)
        if asked.trial_id == "new":
            answer.outcome = 99
        return answer

    board = agent("board", newer)
    stream = client()
    stream.trial("new")
    [failed] = stream.wait_for("new")
    assert (failed.outcome, list(failed.run_secs)) == (measurement_pb2.OUTCOME_RUN_ERROR, [])
    assert failed.detail.endswith("does not know the value 99: upgrade the tracker")
    stream.trial("next")
    assert stream.wait_for("next")[0].outcome == measurement_pb2.OUTCOME_OK
    assert board.received == ["new", "next"], "its stream goes on"


def test_a_time_that_is_no_number_ends_its_own_stream_alone(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    agent("board")
    wrong, right = client(), client()
    told = context()
    told.built_s = math.nan
    wrong.trial("bad", told)
    error = wrong.wait_for_error()
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "RecordContext.built_s is no number" in error.details()
    right.trial("good", context())
    assert right.wait_for("good")[0].outcome == measurement_pb2.OUTCOME_OK
    assert [record.trial_id for record in records(tracker)] == ["good"]


def test_a_failed_build_is_recorded_and_answered_without_a_device(tracker: TrackerProcess, client: Make) -> None:
    stream = client(device_class="pi4")
    stream.failed_build("t", context())
    (answer,) = stream.wait_for("t")
    assert (answer.outcome, answer.detail) == (measurement_pb2.OUTCOME_BUILD_ERROR, "no such intrinsic")
    (record,) = records(tracker, device_class="pi4")
    assert record.measurement.outcome == measurement_pb2.OUTCOME_BUILD_ERROR
    assert record.measurement.timeline.stored_s > 0
    assert not record.measurement.device_id


@pytest.mark.parametrize(
    ("opened", "code", "sentence"),
    [
        ({"pool": "attic"}, grpc.StatusCode.NOT_FOUND, "no pool 'attic': this farm has arm64, armv7, riscv64"),
        ({"job_id": "nobody"}, grpc.StatusCode.NOT_FOUND, "no job 'nobody'"),
    ],
)
def test_streams_that_cannot_be(
    refusing: TrackerProcess, opened: dict[str, str], code: grpc.StatusCode, sentence: str
) -> None:
    stream = MeasureClient(refusing.address, **opened)
    error = stream.wait_for_error()
    assert error.code() is code
    assert sentence in error.details()
    stream.close()


def _bad(**changes: Any) -> measuring_pb2.MeasureCall:
    trial = request("t")
    for path, value in changes.items():
        target = trial
        *parents, last = path.split("__")
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, value)
    return measuring_pb2.MeasureCall(trials=[measuring_pb2.Trial(request=trial)])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (_bad(trial_id=""), "without a trial_id"),
        (_bad(plan__number=0), "at least 1"),
        (_bad(plan__repeat=0), "at least 1"),
        (_bad(limits__run_timeout_s=0.0), "above 0"),
        (_bad(program__entry=""), "no entry"),
        (_bad(program__library__inline=b""), "not stored here"),
        (_bad(program__params__digest="ab" * 32), "not stored here"),
        (_bad(program__library__inline=b"x" * 300_000), "has the digest"),
        (measuring_pb2.MeasureCall(failed_builds=[measuring_pb2.FailedBuild(trial_id="t", outcome=1)]), "failed build"),
        (measuring_pb2.MeasureCall(open=measuring_pb2.OpenMeasure(pool="x86_64")), "does not understand"),
    ],
)
def test_trials_that_cannot_be(refusing: TrackerProcess, call: measuring_pb2.MeasureCall, sentence: str) -> None:
    stream = MeasureClient(refusing.address)
    stream.calls.put(call)
    error = stream.wait_for_error()
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert sentence in error.details()
    stream.close()


def test_a_stream_must_open_first(refusing: TrackerProcess) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(refusing.calls.measuring.Measure(iter([_bad()])))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_killed_in_the_middle_nothing_is_lost_or_counted_twice(
    tracker: TrackerProcess, agent: Make, client: Make
) -> None:
    agent("board")
    worker = StandInWorker(tracker.address)
    job = submit(tracker)
    worker.wait_for_start(job.id)
    worker.progress(job.id, tasks=task_plans(job.id))
    trials = [f"{job.id}/t{n}" for n in range(40)]
    stream = client(job_id=job.id)
    for trial in trials[:20]:
        stream.trial(trial, context(f"{job.id}/0"))
    stream.wait_for(*trials[:10])
    tracker.kill()
    wait_until(lambda: stream.error, "broken stream")
    worker.cut()
    tracker.start()
    worker = StandInWorker(tracker.address, running_job=job.id)
    board = agent("board")
    # The worker sends all that was not answered, here even what was.
    again = client(job_id=job.id)
    for trial in trials:
        again.trial(trial, context(f"{job.id}/0"))
    again.wait_for(*trials)
    stored = records(tracker, job_id=job.id)
    assert sorted(r.trial_id for r in stored) == sorted(trials)
    assert not set(board.received) & set(stream.answers)
    for trial, answer in stream.answers.items():
        assert again.answers[trial].timeline.stored_s == answer.timeline.stored_s
    seen = tracker.calls.jobs.GetJob(jobs_pb2.GetJobRequest(id=job.id))
    assert (seen.trials, seen.tasks[0].trials) == (40, 40)
    assert worker.cancelled == []
    worker.cut()


def test_a_quick_restart_of_an_agent_takes_its_place(tracker: TrackerProcess, agent: Make) -> None:
    old = agent("board")
    agent("board")
    wait_until(lambda: old.ended, "end of the old stream")
    assert [(d.name, d.state) for d in tracker.devices()] == [("board", device_pb2.DEVICE_STATE_IDLE)]


def test_a_jobs_timeline_counts_what_was_recorded_for_it(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    boards = {name: agent(name) for name in ("board-0", "board-1")}
    job = submit(tracker)
    worker = StandInWorker(tracker.address)
    worker.wait_for_start(job.id)
    worker.progress(job.id, "tuning", 0.0, task_plans(job.id))
    times = {"task_id": f"{job.id}/0", "building_s": 1.25, "compiled_s": 1.5}
    stream = client(job_id=job.id)
    trials = [f"t{n}" for n in range(6)]
    for trial in trials:
        stream.trial(trial, context(**times))
    stream.trial("u", context(**times, engine="untuned"))
    stream.failed_build("failed", context(task_id=times["task_id"], building_s=1.25))
    stream.wait_for(*trials, "u", "failed")
    timeline = tracker.calls.jobs.GetJobTimeline(jobs_pb2.GetJobRequest(id=job.id[:7]))
    assert (timeline.trials, timeline.baselines) == (7, 1)
    assert {outcome.outcome: outcome.trials for outcome in timeline.outcomes} == {
        measurement_pb2.OUTCOME_OK: 6,
        measurement_pb2.OUTCOME_BUILD_ERROR: 1,
    }
    assert sum(device.trials for device in timeline.devices) == 7
    assert {device.name for device in timeline.devices} <= set(boards)
    steps = {job_pb2.TimelineStep.Name(step.step).removeprefix("TIMELINE_STEP_"): step for step in timeline.steps}
    assert (steps["SEARCH"].trials, steps["SEARCH"].total_s) == (8, 4.0)
    assert (steps["BUILD"].trials, steps["BUILD"].median_s, steps["BUILD"].wall_s) == (8, 0.25, 0.75)
    assert (steps["LINK"].trials, steps["LINK"].p95_s) == (7, 0.5)
    assert steps["STORE"].trials == 7
    worker.cut()


def test_no_timeline_of_a_job_that_is_not(refusing: TrackerProcess) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        refusing.calls.jobs.GetJobTimeline(jobs_pb2.GetJobRequest(id="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("time_s", [float("nan"), float("inf")])
def test_a_board_with_a_broken_clock_is_answered_for_and_goes_on(
    tracker: TrackerProcess, agent: Make, client: Make, time_s: float
) -> None:
    def broken(request: measurement_pb2.MeasureRequest) -> measurement_pb2.Measurement:
        measurement = fast(request)
        measurement.timeline.finished_s = time_s
        return measurement

    board, stream = agent("board", broken), client()
    for trial_id in ("t1", "t2"):
        stream.trial(trial_id, context())
        (answer,) = stream.wait_for(trial_id)
        assert (answer.outcome, answer.timeline.finished_s) == (measurement_pb2.OUTCOME_OK, 0.0)
        wait_until(lambda t=trial_id: t in board.acknowledged, "acknowledgement")  # type: ignore[misc]
    assert not board.ended
    assert {record.measurement.trial_id for record in records(tracker)} == {"t1", "t2"}
