"""Where a real tracker sends a trial that needs much memory, and what it does with boards that ail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.farm_command import farm as command
from tests.support.measure_client import MeasureClient
from tests.support.stand_in_agent import StandInAgent, fast
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tests.support.whole_farm import AgentOfFarm
from tvm_farm.protos.convert import to_message
from tvm_farm.protos.device import Telemetry
from tvm_farm.protos.farm.v1 import device_pb2, devices_pb2, fleet_pb2, measurement_pb2

GIB = 1 << 30


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "state")
    yield process
    process.stop()


@pytest.fixture
def farm(tracker: TrackerProcess) -> Iterator[Callable[..., Any]]:
    """Makes stand-in agents by their name, or without one a client."""
    with ExitStack() as stack:

        def make(name: str = "", **changes: Any) -> Any:
            if not name:
                client = MeasureClient(tracker.address)
                stack.callback(client.close)
                return client
            agent = StandInAgent(tracker.address, name, **changes)
            stack.callback(agent.cut)
            return agent

        yield make


def of_size(count: int) -> list[measurement_pb2.Argument]:
    return [measurement_pb2.Argument(shape=[count], dtype="int8", fill_seed=1)]


def test_a_trial_goes_where_memory_is_free(farm: Callable[..., Any]) -> None:
    small = farm("a-small-one", telemetry=Telemetry(time.time(), memory_available_bytes=GIB))
    large = farm("large", telemetry=Telemetry(time.time(), memory_available_bytes=6 * GIB))
    client = farm()
    for number in range(6):
        client.trial(f"t{number}", args=of_size(2 * GIB))
    client.wait_for(*(f"t{number}" for number in range(6)))
    assert (small.received, len(large.received)) == ([], 6)
    client.trial("little", args=of_size(100))
    client.wait_for("little")


def test_what_the_kernel_at_hand_has_is_free_for_the_next(farm: Callable[..., Any]) -> None:
    now = Telemetry(time.time(), memory_available_bytes=4 * GIB)
    board = farm("board", run=lambda _: None, slots=1, telemetry=now)
    client = farm()
    for trial in ("a", "b"):
        client.trial(trial, args=of_size(3 * GIB))
    wait_until(lambda: board.received == ["a"], "the first")
    # As an agent says it: word of what began waits for company, here a reading in the middle of that kernel.
    less = to_message(device_pb2.Telemetry, Telemetry(time.time(), memory_available_bytes=GIB))
    board.say(started=["a"], heartbeat=fleet_pb2.Heartbeat(telemetry=less))
    wait_until(lambda: board.heartbeats_answered, "answer to the heartbeat")
    board.answer(fast(board.requests["a"]))
    wait_until(lambda: board.received == ["a", "b"], "the second")


def test_a_trial_that_fits_on_no_real_board_is_refused_with_its_numbers(
    tracker: TrackerProcess, tmp_path: Path, farm: Callable[..., Any]
) -> None:
    agent = AgentOfFarm(tmp_path / "board", tracker.address, "--mode", "micro")
    try:
        wait_until(lambda: tracker.calls.devices.ListDevices(devices_pb2.ListDevicesRequest()).devices, "device")
        client = farm()
        client.trial("t", args=of_size(1 << 45))
        [answer] = client.wait_for("t")
    finally:
        agent.stop()
        agent.close()
    assert answer.outcome == measurement_pb2.OUTCOME_UNPLACEABLE
    assert "its tensors and files take 32.0 TiB; board has the most memory free" in answer.detail


def test_a_throttled_board_is_passed_over_and_shown_so(tracker: TrackerProcess, farm: Callable[..., Any]) -> None:
    throttled = Telemetry(time.time(), 84.0, throttling=("under-voltage",))
    ails = farm("ails", telemetry=throttled)
    well = farm("well")
    client = farm()
    for number in range(10):
        client.trial(f"t{number}")
        client.wait_for(f"t{number}")
    assert (len(ails.received), len(well.received)) == (0, 10)
    shown = command("--tracker", tracker.address, "devices", "show", "ails").stdout
    assert "throttled (under-voltage); others of its class come first" in " ".join(shown.split())
    recovered = to_message(device_pb2.Telemetry, Telemetry(time.time(), 60.0))
    ails.say(heartbeat=fleet_pb2.Heartbeat(telemetry=recovered))
    wait_until(lambda: ails.heartbeats_answered, "answer to the heartbeat")
    for number in range(10, 14):
        client.trial(f"t{number}")
        client.wait_for(f"t{number}")
    assert ails.received
