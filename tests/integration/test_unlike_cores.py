"""A board of unlike cores in a real farm: two devices, each on its own CPUs, one at a time."""

from __future__ import annotations

import json
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("tvm")

import itertools

from tests.support.kernels import kernel
from tests.support.measure_client import MeasureClient
from tests.support.tracker_process import TrackerProcess
from tests.support.unlike_cores import big, little
from tests.support.waiting import wait_until
from tests.support.whole_farm import AgentOfFarm
from tvm_farm.protos.farm.v1 import device_pb2, devices_pb2, measurement_pb2

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a board of unlike cores needs two CPUs, and this process has one"
)

TRIALS = 12
ONE_TENSOR = [measurement_pb2.Argument(shape=[4], dtype="int32", data=bytes(16))]


class Rock(AgentOfFarm):
    """The agent on an RK3399 with one core of each kind."""

    module = "tests.support.unlike_cores"


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "tracker")
    yield process
    process.stop()


def devices(tracker: TrackerProcess) -> dict[str, device_pb2.Device]:
    return {d.name: d for d in tracker.calls.devices.ListDevices(devices_pb2.ListDevicesRequest()).devices}


def connected(tracker: TrackerProcess) -> set[str]:
    taking_work = (device_pb2.DEVICE_STATE_IDLE, device_pb2.DEVICE_STATE_MEASURING)
    return {name for name, device in devices(tracker).items() if device.state in taking_work}


@pytest.mark.parametrize("mode", ["micro", "auto"])
def test_two_devices_of_one_board_execute_by_turns(tracker: TrackerProcess, tmp_path: Path, mode: str) -> None:
    agent = Rock(tmp_path / "rock", tracker.address, "--mode", mode, "--label", "rack=3")
    try:
        wait_until(lambda: connected(tracker) == {"rock-a72", "rock-a53"}, "two devices")
        strong, weak = (devices(tracker)[name] for name in ("rock-a72", "rock-a53"))
        assert ("1xcortex-a72" in strong.device_class, "1xcortex-a53" in weak.device_class) == (True, True)
        assert strong.id != weak.id
        for device, kind in ((strong, "a72"), (weak, "a53")):
            assert json.loads(device.target)["num-cores"] == device.runner.threads == 1
            assert (device.labels["cores"], device.labels["rack"]) == (kind, "3")
            assert len(device.telemetry.frequency_khz) <= 1
        affinities = sorted(runner.cpu_affinity() for runner in agent.runners() if "tvm-farm-runner" in runner.name())
        assert affinities == [[little()], [big()]]

        clients = {d.name: MeasureClient(tracker.address, device_id=d.id) for d in (strong, weak)}
        for number in range(TRIALS):
            for name, client in clients.items():
                client.trial(f"{name} {number}", library=kernel("where").read_bytes(), args=ONE_TENSOR, outputs=[0])
        runs = []
        for name, client in clients.items():
            cpu = big() if name == "rock-a72" else little()
            for answer in client.wait_for(*(f"{name} {number}" for number in range(TRIALS))):
                assert answer.outcome == measurement_pb2.OUTCOME_OK, answer.detail
                assert struct.unpack_from("<i", answer.outputs[0].data) == (cpu,)
                runs.append((answer.timeline.started_s, answer.timeline.finished_s, name))
            client.close()
        runs.sort()
        assert len(runs) == 2 * TRIALS
        for (_, before_s, _), (after_s, _, _) in itertools.pairwise(runs):
            # Each device's times are placed into the tracker's by its own messages, to a few ms.
            assert before_s <= after_s + 0.02, runs
        changes = sum(one[2] != other[2] for one, other in itertools.pairwise(runs))
        assert changes >= TRIALS, "neither waits for all that the other has"

        agent.process.send_signal(signal.SIGTERM)
        assert agent.process.wait(20) == 0
        wait_until(lambda: not connected(tracker), "their leaving")
    finally:
        agent.close()
    assert "stopped: 24 trials measured" in agent.state.with_suffix(".log").read_text()


def test_one_kind_served_alone_is_the_same_device_as_beside_the_other(tracker: TrackerProcess, tmp_path: Path) -> None:
    ids = []
    for options, names in ((("--cluster", "a53"), {"rock-a53"}), ((), {"rock-a53", "rock-a72"})):
        agent = Rock(tmp_path / "rock", tracker.address, "--runner", "synthetic", *options)
        try:
            wait_until(lambda names=names: connected(tracker) == names, f"{names}")  # type: ignore[misc]
            ids.append(devices(tracker)["rock-a53"].id)
        finally:
            agent.close()
        wait_until(lambda: not connected(tracker), "their loss")
    assert ids[0] == ids[1]


def test_a_kind_that_the_board_has_not_is_refused_by_name(tracker: TrackerProcess, tmp_path: Path) -> None:
    agent = Rock(tmp_path / "rock", tracker.address, "--runner", "synthetic", "--cluster", "a57")
    assert agent.process.wait(20) == 2
    agent.close()
    assert "no cores of the kind 'a57': its cores are a72 and a53" in agent.state.with_suffix(".log").read_text()


def test_no_runner_outlives_the_agent(tracker: TrackerProcess, tmp_path: Path) -> None:
    agent = Rock(tmp_path / "rock", tracker.address, "--mode", "micro")
    try:
        wait_until(lambda: len(connected(tracker)) == 2, "two devices")
        runners = agent.runners()
        assert len([runner for runner in runners if "tvm-farm-runner" in runner.name()]) == 2
    finally:
        agent.close()
    gone, alive = psutil.wait_procs(runners, timeout=20)
    assert (len(gone), alive) == (len(runners), [])
