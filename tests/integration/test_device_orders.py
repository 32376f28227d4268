"""Leases, drains, labels and cancelled jobs on a real tracker process, with boards and clients that speak real gRPC."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.farm_command import farm
from tests.support.measure_client import MeasureClient, context, request
from tests.support.stand_in_agent import StandInAgent, fast
from tests.support.stand_in_worker import submit
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.farm.v1 import (
    device_pb2,
    devices_pb2,
    job_pb2,
    jobs_pb2,
    measurement_pb2,
    measuring_pb2,
    record_pb2,
)
from tvm_farm.tracker.cli.terminal.child import Child

Make = Callable[..., Any]


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "state")
    yield process
    process.stop()


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def agent(tracker: TrackerProcess, closing: ExitStack) -> Make:
    def make(device_id: str, *args: Any, **join: Any) -> StandInAgent:
        made = StandInAgent(tracker.address, device_id, *args, **join)
        closing.callback(made.cut)
        return made

    return make


@pytest.fixture
def client(tracker: TrackerProcess, closing: ExitStack) -> Make:
    def make(**opened: Any) -> MeasureClient:
        made = MeasureClient(tracker.address, **opened)
        closing.callback(made.close)
        wait_until(lambda: made.capacity is not None, "capacity")
        return made

    return make


def lease(tracker: TrackerProcess, user: str, for_s: float = 600.0, device: str = "board") -> device_pb2.Device:
    return tracker.calls.devices.LeaseDevice(devices_pb2.LeaseDeviceRequest(device=device, user=user, for_s=for_s))


def drain(tracker: TrackerProcess, reason: str = "", device: str = "board") -> device_pb2.Device:
    return tracker.calls.devices.DrainDevice(devices_pb2.DrainDeviceRequest(device=device, user="eve", reason=reason))


def label(tracker: TrackerProcess, *remove: str, **put: str) -> device_pb2.Device:
    return tracker.calls.devices.LabelDevice(devices_pb2.LabelDeviceRequest(device="board", put=put, remove=remove))


def test_a_drain_holds_through_restarts_of_agent_and_tracker_until_it_is_resumed(
    tracker: TrackerProcess, agent: Make, client: Make
) -> None:
    held: list[Any] = []
    board = agent("board", held.append, slots=1)
    stream = client()
    stream.trial("t0")
    wait_until(lambda: held, "the trial on the board")
    device = drain(tracker, "new fan")
    assert (device.state, device.held, device.drain.reason) == (device_pb2.DEVICE_STATE_DRAINING, 1, "new fan")
    wait_until(lambda: stream.capacity.devices == 0, "capacity without the board")
    stream.trial("t1")
    board.answer(fast(held[0]))
    stream.wait_for("t0")
    board.cut()
    wait_until(lambda: tracker.devices()[0].state == device_pb2.DEVICE_STATE_LOST, "lost board")
    tracker.kill()
    tracker.start()
    back = agent("board", slots=1)
    again = client()
    again.trial("t1")
    [device] = tracker.devices()
    assert (device.state, device.drain.user, device.drain.reason) == (
        device_pb2.DEVICE_STATE_DRAINING, "eve", "new fan",
    )  # fmt: skip
    with pytest.raises(grpc.RpcError, match=r"board is draining \(new fan\)"):
        submit(tracker)
    assert back.received == []
    device = tracker.calls.devices.ResumeDevice(devices_pb2.ResumeDeviceRequest(device="board"))
    assert not device.HasField("drain")
    again.wait_for("t1")
    assert back.received == ["t1"]


def test_a_lease_keeps_others_off_until_it_is_released(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    board, other = agent("board", slots=1), agent("other", slots=1)
    mine, theirs = client(user="ada"), client(user="bob")
    leased = lease(tracker, "ada")
    assert leased.lease.user == "ada"
    assert leased.lease.until_unix_s - leased.lease.since_unix_s == pytest.approx(600.0)
    wait_until(lambda: (mine.capacity.devices, theirs.capacity.devices) == (2, 1), "capacities")
    trials = [f"b{n}" for n in range(8)]
    for trial in trials:
        theirs.trial(trial)
    theirs.wait_for(*trials)
    assert (board.received, sorted(other.received)) == ([], trials)
    for n in range(8):
        mine.trial(f"a{n}")
    mine.wait_for(*(f"a{n}" for n in range(8)))
    assert board.received
    with pytest.raises(grpc.RpcError) as caught:
        lease(tracker, "bob")
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "board is leased to ada until " in caught.value.details()
    with pytest.raises(grpc.RpcError, match="board is leased to ada until "):
        tracker.calls.devices.ReleaseDevice(devices_pb2.ReleaseDeviceRequest(device="board", user="bob"))
    assert lease(tracker, "ada", 6000.0).lease.until_unix_s > leased.lease.until_unix_s + 5000
    released = tracker.calls.devices.ReleaseDevice(devices_pb2.ReleaseDeviceRequest(device="board", user="ada"))
    assert not released.HasField("lease")
    wait_until(lambda: theirs.capacity.devices == 2, "capacity with the board")


def test_a_lease_outlives_the_tracker(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    board = agent("board")
    leased = lease(tracker, "ada")
    board.cut()
    tracker.kill()
    tracker.start()
    agent("board")
    assert tracker.devices()[0].lease == leased.lease
    assert (client(user="bob").capacity.devices, client(user="ada").capacity.devices) == (0, 1)


def test_a_lease_ends_by_itself(tracker: TrackerProcess, agent: Make, client: Make) -> None:
    agent("board")
    theirs = client(user="bob")
    leased = lease(tracker, "ada", 1.5)
    theirs.trial("t", context())
    theirs.wait_for("t")
    [record] = tracker.calls.log.QueryRecords(record_pb2.RecordFilter())
    assert record.measurement.timeline.sent_s >= leased.lease.until_unix_s
    assert not tracker.devices()[0].HasField("lease")


def test_a_job_of_another_user_is_refused_where_all_boards_are_leased(tracker: TrackerProcess, agent: Make) -> None:
    agent("board")
    lease(tracker, "ada")
    with pytest.raises(grpc.RpcError, match="board is leased to ada until "):
        submit(tracker, user="bob")
    assert submit(tracker, user="ada").state == job_pb2.JOB_STATE_QUEUED


def test_labels_and_selectors_move_boards_under_open_streams(
    tracker: TrackerProcess, agent: Make, client: Make
) -> None:
    board = agent("board", labels={"rack": "1"})
    put_pool = tracker.calls.devices.PutPool
    put_pool(devices_pb2.PutPoolRequest(name="lab", selector={"room": "cold"}))
    stream = client(pool="lab")
    stream.trial("t0")
    assert stream.capacity.devices == 0
    device = label(tracker, room="cold", rack="2")
    assert (device.labels["rack"], dict(device.hand_labels)) == ("2", {"room": "cold", "rack": "2"})
    assert list(device.pools) == ["lab", "x86_64"]
    stream.wait_for("t0")
    put_pool(devices_pb2.PutPoolRequest(name="lab", selector={"rack": "1"}))
    wait_until(lambda: stream.capacity.devices == 0, "capacity without the board")
    stream.trial("t1")
    assert label(tracker, "rack").labels["rack"] == "1"
    stream.wait_for("t1")
    assert board.received == ["t0", "t1"]
    with pytest.raises(grpc.RpcError, match="'arch' is set by the tracker"):
        label(tracker, arch="z80")
    tracker.kill()
    tracker.start()
    assert tracker.devices()[0].labels["room"] == "cold"


def test_names_and_reasons_that_would_spoil_a_line_are_refused(tracker: TrackerProcess, agent: Make) -> None:
    agent("board")
    for call in (
        lambda: lease(tracker, "ada\n"),
        lambda: lease(tracker, "-ada"),
        lambda: drain(tracker, "new\x1b[2Jfan"),
        lambda: submit(tracker, user="ada\t"),
        lambda: submit(tracker, model_name="a\nb"),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert " cannot be a" in refused.value.details()
    assert not tracker.devices()[0].HasField("drain")


def test_a_forgotten_board_leaves_its_records_and_nothing_else(
    tracker: TrackerProcess, agent: Make, client: Make
) -> None:
    board, other = agent("board", slots=1), agent("other", slots=1)
    stream = client()
    for number in range(8):
        stream.trial(f"t{number}", context())
    stream.wait_for(*(f"t{number}" for number in range(8)))
    measured = len(board.received)
    assert measured
    label(tracker, room="cold")
    connected = farm("devices", "forget", "board", "--tracker", tracker.address)
    assert connected.returncode == 2, connected.stderr
    assert "Device board is connected: stop its agent before it is forgotten." in connected.stderr
    board.cut()
    wait_until(lambda: tracker.devices()[0].state == device_pb2.DEVICE_STATE_LOST, "lost board")
    some = farm("devices", "forget", "*o*", "--tracker", tracker.address)
    assert (some.returncode, "Device other is connected" in some.stderr) == (1, True), some.stderr
    assert some.stdout == (
        "board is forgotten, and its labels room=cold with it. "
        "What it measured stays: farm records query --device board\n"
    )
    other.cut()
    tracker.kill()
    tracker.start()
    assert [device.name for device in tracker.devices()] == ["other"]
    with urllib.request.urlopen(tracker.endpoint["metrics"]) as answer:
        assert b'device="board"' not in answer.read()
    query = ["records", "query", "--json", "--tracker", tracker.address, "--device"]
    assert len(json.loads(farm(*query, "board").stdout)) == measured
    nobody = farm(*query, "nobody")
    assert (nobody.returncode, "There is no device nobody." in nobody.stderr) == (2, True)


def test_a_cancelled_jobs_kernel_is_stopped_for_the_next_one(
    tracker: TrackerProcess, client: Make, tmp_path: Path
) -> None:
    """A real agent whose kernels hang to their limit: ten minutes of the first job's, an instant of the second's."""
    options = ["--tracker", tracker.address, "--state", str(tmp_path / "agent"), "--runner", "synthetic"]
    options += ["--name", "board", "--synthetic-timeout-share", "1.0"]
    with Child("agent", ["start", *options], tmp_path / "agent.log") as agent:
        wait_until(lambda: (agent.check(), tracker.devices())[1], "device")
        job = submit(tracker, pool="synthetic", user="ada")
        jobs, other = client(pool="synthetic", job_id=job.id), client(pool="synthetic", user="bob")
        jobs.calls.put(hanging("a0", 600.0))
        wait_until(lambda: tracker.devices()[0].utilisation > 0, "kernel that runs")
        other.calls.put(hanging("b0", 0.05))
        wait_until(lambda: tracker.devices()[0].held == 2, "next trial on the board")
        tracker.calls.jobs.CancelJob(jobs_pb2.CancelJobRequest(id=job.id))
        [answer] = other.wait_for("b0")
        assert answer.outcome == measurement_pb2.OUTCOME_RUN_TIMEOUT
        assert jobs.wait_for("a0")[0].outcome == measurement_pb2.OUTCOME_CANCELLED


def hanging(trial_id: str, limit_s: float) -> measuring_pb2.MeasureCall:
    trial = request(trial_id)
    trial.limits.run_timeout_s = limit_s
    return measuring_pb2.MeasureCall(trials=[measuring_pb2.Trial(request=trial)])
