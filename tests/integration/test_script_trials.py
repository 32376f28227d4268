"""Trials of a script through a real tracker: many at once, given up, and over a restart of the tracker."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("tvm")

from tests.support.stand_in_agent import StandInAgent, fast
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.farm.v1 import measurement_pb2
from tvm_farm.tracker.client.errors import FarmError, TrackerUnreachable
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.domain import Artifact, MeasureRequest, OpenMeasure, Outcome, Program, ProgramKind
from tvm_farm.tracker.script import trials as trials_module
from tvm_farm.tracker.script.trials import Trials


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "state")
    yield process
    process.stop()


Open = Callable[..., Trials]


@pytest.fixture
def opened(tracker: TrackerProcess) -> Iterator[Open]:
    with ExitStack() as stack:

        def make(pool: str = "x86_64") -> Trials:
            farm = stack.enter_context(Farm(tracker.address))
            trials = Trials(farm.measuring, OpenMeasure("test", "", pool, "", user="ada"))
            stack.callback(trials.close)
            return trials

        yield make


def request(trial_id: str) -> MeasureRequest:
    library = b"library"
    artifact = Artifact(hashlib.sha256(library).hexdigest(), len(library), library)
    return MeasureRequest(trial_id, Program(ProgramKind.KERNEL, artifact, "main", ()))


def never(_: measurement_pb2.MeasureRequest) -> None:
    """A board that takes a kernel and does not answer."""


def test_boards_side_by_side_answer_in_any_order(tracker: TrackerProcess, opened: Open) -> None:
    agents = [StandInAgent(tracker.address, f"board-{n}") for n in range(3)]
    try:
        trials, ids = opened(), [f"t{n}" for n in range(30)]
        for trial_id in ids:
            trials.begin(request(trial_id))
        answers = {trial_id: trials.result(trial_id) for trial_id in reversed(ids)}
        assert {m.outcome for m in answers.values()} == {Outcome.OK}
        assert {m.device_name for m in answers.values()} == {"board-0", "board-1", "board-2"}
    finally:
        for agent in agents:
            agent.cut()


def test_what_is_given_up_leaves_its_board(tracker: TrackerProcess, opened: Open) -> None:
    agent = StandInAgent(tracker.address, "board", never)
    try:
        trials = opened()
        for trial_id in ("t1", "t2", "t3", "t4"):
            trials.begin(request(trial_id))
        wait_until(lambda: agent.received == ["t1", "t2"], "two trials, as many as it has slots")
        trials.give_up("t1")
        wait_until(lambda: agent.cancelled == ["t1"] and agent.received == ["t1", "t2", "t3"], "the next instead")
        trials.give_up()
        wait_until(lambda: set(agent.cancelled) == {"t1", "t2", "t3"}, "all of them taken back")
        with pytest.raises(FarmError, match="Trial t2 was given up"):
            trials.result("t2")
        # The stream goes on, and the board with it.
        agent.run = fast
        trials.begin(request("t5"))
        assert trials.result("t5").outcome is Outcome.OK
        assert "t4" not in agent.received
    finally:
        agent.cut()


def test_the_end_of_a_script_leaves_no_trial_on_a_board(tracker: TrackerProcess, opened: Open) -> None:
    agent = StandInAgent(tracker.address, "board", never)
    try:
        trials = opened()
        trials.begin(request("t1"))
        wait_until(lambda: agent.received == ["t1"], "the trial")
        trials.close()
        wait_until(lambda: agent.cancelled == ["t1"], "its end")
        assert trials.done("t1")
        with pytest.raises(FarmError, match="This FarmRunner is closed"):
            trials.result("t1")
        with pytest.raises(FarmError, match="This FarmRunner is closed"):
            trials.begin(request("t2"))
    finally:
        agent.cut()


def test_a_tracker_that_restarts_is_waited_for(tracker: TrackerProcess, opened: Open) -> None:
    agent = StandInAgent(tracker.address, "board", never)
    trials = opened()
    trials.begin(request("t1"))
    wait_until(lambda: agent.received == ["t1"], "the trial")
    tracker.kill()
    agent.cut()
    assert not trials.done("t1")
    tracker.start()
    again = StandInAgent(tracker.address, "board")
    try:
        assert trials.result("t1").outcome is Outcome.OK
    finally:
        again.cut()


def test_what_the_tracker_refuses_is_raised_and_not_taken_for_a_slow_kernel(opened: Open) -> None:
    trials = opened("nowhere")

    def ask() -> None:
        trials.begin(request("t1"))
        trials.result("t1")

    with pytest.raises(FarmError, match=r"there is no pool 'nowhere': this farm has .*\.$"):
        ask()


def test_a_person_is_told_what_is_waited_for(
    tracker: TrackerProcess, opened: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials_module, "_PATIENCE_S", 0.0)
    trials = opened()
    trials.begin(request("t1"))

    agents: list[StandInAgent] = []

    class Joining(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            agents.append(StandInAgent(tracker.address, "board"))

    logger, handler = logging.getLogger(trials_module.__name__), Joining()
    logger.addHandler(handler)
    try:
        assert trials.result("t1").outcome is Outcome.OK
        assert "in pool x86_64 takes work at the moment" in caplog.text
        assert "trials that wait for one: 1" in caplog.text
        assert len(agents) == 1, "it is said once"
    finally:
        logger.removeHandler(handler)
        for agent in agents:
            agent.cut()


@pytest.mark.own_network
def test_a_farm_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"script-{uuid.uuid4().hex[:8]}"
    for variable in ("TVMFARM_TRACKER", "TVMFARM_FARM"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TVMFARM_MDNS_INTERFACE", "127.0.0.1")
    process = TrackerProcess(tmp_path / "named", "--farm", name, reached=["--mdns-interface", "127.0.0.1"])
    try:
        with Farm(name) as client:
            assert (client.status().farm, client.address) == (name, process.address)
    finally:
        process.stop()
    with pytest.raises(TrackerUnreachable, match=r'Farm\("HOST:PORT"\)|No farm named'):
        Farm("nobody")
