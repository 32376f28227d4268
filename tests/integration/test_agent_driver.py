"""The driver of a session inside this process, with a runner that does what a test says, against a stand-in tracker."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tests.support.board_trees import X86_SERVER, grow
from tests.support.stand_in_tracker import StandInTracker, make_request
from tvm_farm.agent.board.fingerprint import read_fingerprint
from tvm_farm.agent.board.telemetry import TelemetryReader
from tvm_farm.agent.driver.session_driver import SessionDriver
from tvm_farm.agent.errors import SeveralTrackersError
from tvm_farm.agent.runner import DeviceAwayError, LocalRequest, RunnerError, RunReport
from tvm_farm.agent.session.effects import Exit
from tvm_farm.protos.convert import to_message
from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import measurement_pb2
from tvm_farm.protos.join import Join
from tvm_farm.protos.measurement import Outcome, OutputTensor

OK = RunReport(Outcome.OK, run_secs=(0.001,), started_s=1.0, finished_s=2.0)


class ScriptedRunner:
    """``answers[trial_id]`` says what comes of a trial; every other one is OK."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[LocalRequest], RunReport]] = {}
        self.ran: list[str] = []
        #: Trials that were told ahead, and "-" before those taken back.
        self.ahead: list[str] = []
        #: ``run`` of any trial waits for it.
        self.free = asyncio.Event()
        self.free.set()

    async def start(self) -> RunnerInfo:
        return RunnerInfo(RunnerMode.SYNTHETIC)

    async def run(self, request: LocalRequest) -> RunReport:
        trial = request.request.trial_id
        self.ran.append(trial)
        await self.free.wait()
        return self.answers.get(trial, lambda _: OK)(request)

    async def offer(self, request: LocalRequest) -> None:
        self.ahead.append(request.request.trial_id)

    async def withdraw(self, request: LocalRequest) -> None:
        self.ahead.append(f"-{request.request.trial_id}")

    async def cancel(self) -> None:
        pass

    async def stop(self) -> None:
        pass


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


@pytest.fixture
def runner() -> ScriptedRunner:
    return ScriptedRunner()


async def until(condition: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.01)


def board_of(
    tracker: StandInTracker,
    runner: ScriptedRunner,
    cache: Path,
    slots: int = 3,
    watch: Callable[[], Awaitable[None]] | None = None,
    turn: asyncio.Lock | None = None,
) -> SessionDriver:
    async def locate(farm: str) -> Sequence[str]:
        return [tracker.address]

    join = Join(PROTOCOL_VERSION, "id", "board", Fingerprint(), RunnerInfo(RunnerMode.SYNTHETIC), {}, slots)
    sensors = functools.partial(TelemetryReader, sys=cache, proc=cache)  # none
    return SessionDriver(join, runner, sensors, locate, cache, 1 << 20, watch=watch, turn=turn)


@pytest.fixture
async def board(tracker: StandInTracker, runner: ScriptedRunner, tmp_path: Path) -> AsyncIterator[asyncio.Task[Exit]]:
    """The running board. A test that does not end it sees it cancelled."""
    running = asyncio.create_task(board_of(tracker, runner, tmp_path).run())
    await tracker.joined()
    yield running
    running.cancel()
    await asyncio.wait([running])


async def test_a_runner_that_cannot_start_any_more(
    tracker: StandInTracker, runner: ScriptedRunner, board: asyncio.Task[Exit]
) -> None:
    def fail(request: LocalRequest) -> RunReport:
        raise RunnerError("the runner's program is gone")

    runner.answers["first"] = fail
    tracker.sending.clear()  # the second stays behind the first
    tracker.measure(make_request("second", tracker.put_artifact(b"library")))
    await tracker.until(lambda: tracker.fetched)
    tracker.measure(make_request("first"))
    ending = await asyncio.wait_for(board, 20)
    assert ending == Exit(6, "the runner's program is gone")
    await tracker.until(lambda: set(tracker.given_back()) == {"first", "second"})
    assert len(tracker.all("draining")) == 1
    tracker.sending.set()


async def test_outputs_that_no_message_can_carry(
    tracker: StandInTracker, runner: ScriptedRunner, board: asyncio.Task[Exit]
) -> None:
    def huge(request: LocalRequest) -> RunReport:
        output = OutputTensor((61 << 20,), "uint8", bytes(61 << 20))
        return RunReport(Outcome.OK, run_secs=(0.1,), outputs=(output,))

    runner.answers["huge"] = huge
    tracker.measure(make_request("huge"))
    measured = await tracker.measurement("huge")
    assert measured.outcome is Outcome.RUN_ERROR
    assert "61.0 MiB" in measured.detail
    assert measured.outputs == measured.run_secs == ()


async def test_a_trial_of_a_kind_that_this_agent_does_not_know(
    tracker: StandInTracker, runner: ScriptedRunner, board: asyncio.Task[Exit]
) -> None:
    message = to_message(measurement_pb2.MeasureRequest, make_request("future"))
    message.program.kind = 99
    tracker.say(measure=[message])
    await tracker.until(lambda: "99" in tracker.given_back().get("future", ""))
    tracker.measure(make_request("today"))
    await tracker.measurement("today")
    assert runner.ran == ["today"]


async def test_files_that_stop_on_the_way_with_the_link(
    tracker: StandInTracker, runner: ScriptedRunner, board: asyncio.Task[Exit]
) -> None:
    library = tracker.put_artifact(b"library")
    tracker.sending.clear()
    tracker.measure(make_request("slow", library))
    await tracker.until(lambda: tracker.fetched)
    await tracker.stop()
    tracker.sending.set()
    await tracker.start()
    await tracker.joined(times=2)
    tracker.measure(make_request("slow", library))
    assert (await tracker.measurement("slow")).outcome is Outcome.OK
    assert runner.ran == ["slow"]


async def test_a_cancelled_fetch_frees_its_slot(
    tracker: StandInTracker, runner: ScriptedRunner, board: asyncio.Task[Exit]
) -> None:
    tracker.sending.clear()
    names = ["a", "b", "c"]
    for name in names:
        tracker.measure(make_request(name, tracker.put_artifact(name.encode())))
    await tracker.until(lambda: len(tracker.fetched) == 3)
    tracker.say(cancelled=names)
    tracker.measure(make_request("wanted"))
    await tracker.measurement("wanted")
    assert tracker.given_back() == {}
    assert runner.ran == ["wanted"]
    tracker.sending.set()


async def test_a_device_that_goes_away_ends_the_session_and_what_it_still_answers_is_not_counted(
    tracker: StandInTracker, runner: ScriptedRunner, tmp_path: Path
) -> None:
    gone = asyncio.Event()

    async def watch() -> None:
        await gone.wait()
        raise DeviceAwayError("the cable is out")

    runner.free.clear()
    board = board_of(tracker, runner, tmp_path, watch=watch)
    running = asyncio.create_task(board.run())
    try:
        await tracker.joined()
        for trial in ("at hand", "behind it"):
            tracker.measure(make_request(trial))
        await tracker.until(lambda: tracker.started() == ["at hand"])
        gone.set()
        runner.free.set()
        assert await asyncio.wait_for(running, 20) == Exit(6, "the cable is out", device_away=True)
    finally:
        running.cancel()
        await asyncio.wait([running])
    back = await tracker.until(lambda: len(back := tracker.given_back()) == 2 and back)
    assert back == {"at hand": "the cable is out", "behind it": "the cable is out"}
    assert tracker.measured() == []
    assert len(tracker.all("draining")) == 1


async def test_a_bug_in_what_watches_the_device_is_not_swallowed(
    tracker: StandInTracker, runner: ScriptedRunner, tmp_path: Path
) -> None:
    async def watch() -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(board_of(tracker, runner, tmp_path, watch=watch).run(), 20)


async def test_a_bug_in_a_runner_is_not_swallowed(
    tracker: StandInTracker, runner: ScriptedRunner, board: asyncio.Task[Exit]
) -> None:
    def broken(request: LocalRequest) -> RunReport:
        raise ZeroDivisionError("a bug")

    runner.answers["any"] = broken
    tracker.measure(make_request("any"))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(board, 20)


async def test_a_choice_that_only_a_person_can_make_ends_it(
    tracker: StandInTracker, runner: ScriptedRunner, tmp_path: Path
) -> None:
    async def locate(farm: str) -> Sequence[str]:
        raise SeveralTrackersError("two")

    join = Join(PROTOCOL_VERSION, "id", "board", Fingerprint(), RunnerInfo(RunnerMode.FULL), {}, 1)
    board = SessionDriver(join, runner, TelemetryReader, locate, tmp_path, 1 << 20)
    with pytest.raises(SeveralTrackersError):
        await asyncio.wait_for(board.run(), 20)


async def test_a_heartbeat_during_a_kernel_leaves_its_throttling_to_the_measurement(
    tracker: StandInTracker, tmp_path: Path
) -> None:
    root = grow(tmp_path / "board", X86_SERVER)
    clusters = read_fingerprint(root=root, affinity=range(2)).clusters

    async def locate(farm: str) -> Sequence[str]:
        return [tracker.address]

    class Heating(ScriptedRunner):
        async def run(self, request: LocalRequest) -> RunReport:
            grow(root, {"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "8\n"})
            await tracker.until(lambda: any(beat.telemetry.throttling for beat in tracker.all("heartbeat")))
            return OK

    join = Join(PROTOCOL_VERSION, "id", "board", Fingerprint(), RunnerInfo(RunnerMode.SYNTHETIC), {}, 1)
    board = SessionDriver(
        join,
        Heating(),
        lambda: TelemetryReader(clusters, sys=root / "sys", proc=root / "proc"),
        locate,
        tmp_path / "cache",
        1 << 20,
    )
    running = asyncio.create_task(board.run())
    try:
        await tracker.joined()
        tracker.measure(make_request("hot"))
        measured = await tracker.measurement("hot")
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert measured.before is not None
    assert measured.after is not None
    assert (measured.before.throttling, measured.after.throttling) == ((), ("throttled",))


async def test_the_runner_is_told_of_the_next_trials_while_it_executes_one(
    tracker: StandInTracker, runner: ScriptedRunner, board: asyncio.Task[Exit]
) -> None:
    runner.free.clear()
    for trial in ("one", "two", "three"):
        tracker.measure(make_request(trial))
    await until(lambda: runner.ahead == ["two", "three"], "two offers")
    tracker.say(cancelled=["two"])
    tracker.measure(make_request("four"))
    await until(lambda: runner.ahead == ["two", "three", "-two", "four"], "one taken back, one more")
    runner.free.set()
    for trial in ("one", "three", "four"):
        measured = await tracker.measurement(trial)
        assert measured.before is not None
        assert measured.after is not None
        assert measured.before.at_unix_s <= measured.after.at_unix_s
    assert runner.ran == ["one", "three", "four"]
    assert runner.ahead == ["two", "three", "-two", "four"]


async def test_what_was_told_ahead_is_taken_back_when_the_link_is_lost(
    tracker: StandInTracker, runner: ScriptedRunner, board: asyncio.Task[Exit]
) -> None:
    runner.free.clear()
    for trial in ("one", "two"):
        tracker.measure(make_request(trial))
    await until(lambda: runner.ahead == ["two"], "an offer")
    await tracker.stop()
    await until(lambda: runner.ahead == ["two", "-two"], "an offer taken back")
    runner.free.set()
    await tracker.start()
    assert (await tracker.measurement("one")).outcome is Outcome.OK
    assert runner.ran == ["one"]


async def test_devices_of_one_board_execute_by_turns(tmp_path: Path) -> None:
    turn = asyncio.Lock()
    async with StandInTracker() as left_tracker, StandInTracker() as right_tracker:
        left, right = ScriptedRunner(), ScriptedRunner()
        left.free.clear()
        boards = [
            board_of(left_tracker, left, tmp_path / "left", turn=turn),
            board_of(right_tracker, right, tmp_path / "right", turn=turn),
        ]
        running = [asyncio.create_task(board.run()) for board in boards]
        try:
            for tracker in (left_tracker, right_tracker):
                await tracker.joined()
            for trial in ("l1", "l2"):
                left_tracker.measure(make_request(trial))
            await left_tracker.until(lambda: left_tracker.all("started"))
            for trial in ("r1", "r2", "r3"):
                right_tracker.measure(make_request(trial))
            await until(lambda: all(held.ready for held in boards[1].session.queue), "files of the right one")
            await until(lambda: len(boards[1].session.queue) == 3, "its trials")
            assert not right.ran
            assert not right_tracker.all("started")
            assert not left.ahead
            right_tracker.say(cancelled=["r1"])
            await until(lambda: len(boards[1].session.queue) == 2, "the cancellation")
            left.free.set()
            for trial in ("l1", "l2"):
                assert (await left_tracker.measurement(trial)).outcome is Outcome.OK
            for trial in ("r2", "r3"):
                assert (await right_tracker.measurement(trial)).outcome is Outcome.OK
            assert (left.ran, right.ran) == (["l1", "l2"], ["r2", "r3"])
            await until(lambda: not turn.locked(), "the turn given up")

            # One that ends while it executes leaves the turn to the other.
            left.free.clear()
            left_tracker.measure(make_request("l3"))
            await until(lambda: left.ran[-1] == "l3", "a run")
            right_tracker.measure(make_request("r4"))
            running[0].cancel()
            assert (await right_tracker.measurement("r4")).outcome is Outcome.OK
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
    assert not turn.locked()
