"""The measuring core as a table of events and effects: no clock, no network, no store."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from tests.support.measure_client import request
from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.measurement import OutputTensor, Timeline, TimingPlan
from tvm_farm.tracker.domain import (
    Capacity,
    Device,
    FailedBuild,
    Measurement,
    OpenMeasure,
    Outcome,
    Record,
    RecordContext,
)
from tvm_farm.tracker.measuring import events
from tvm_farm.tracker.measuring.board import Acknowledge, Board, Cancel
from tvm_farm.tracker.measuring.core import MeasuringCore
from tvm_farm.tracker.measuring.effects import Deliver, Effect, JobRecorded, Send, Write
from tvm_farm.tracker.measuring.moment import Moment
from tvm_farm.tracker.measuring.request import TrialRequest
from tvm_farm.tracker.measuring.stream import Stream
from tvm_farm.tracker.wire.requests import seal

CONTEXT = RecordContext(task_id="task", workload="w", workload_name="matmul", target="llvm", engine="ansor", trace="[]")


class Farm:
    """Boards as the fleet has them, and what the core wanted done, one line each."""

    def __init__(self) -> None:
        self.boards: dict[str, Board] = {}
        self.core = MeasuringCore(self, "1")
        self.now_s = 1000.0
        self.writes: list[Write] = []

    def board(self, device_id: str) -> Board:
        return self.boards[device_id]

    def connected(self) -> list[Board]:
        return list(self.boards.values())

    def lease_holders(self) -> set[str]:
        return set()

    @property
    def least_free_bytes(self) -> float:
        return math.inf

    def add(self, name: str, slots: int = 1) -> Board:
        runner = RunnerInfo(RunnerMode.FULL)
        device = Device(name, name, Fingerprint(arch="x86_64", hostname=name), runner, pools=("x86_64",))
        # The core says whom it wants to send what: nothing here may be called.
        self.boards[name] = Board(device, slots, lambda order: pytest.fail("the core sent something itself"), 0.0, 0.0)
        return self.boards[name]

    def lose(self, board: Board) -> list[str]:
        board.connected = False
        del self.boards[board.id]
        return self.after(events.BoardLeft(board))

    def open(self, client: str = "client", job_id: str = "") -> Stream:
        stream = Stream(client, OpenMeasure(client, job_id, "x86_64"))
        self.after(events.StreamOpened(stream))
        return stream

    def submit(self, stream: Stream, trial_id: str, context: RecordContext | None = None) -> list[str]:
        return self.after(events.TrialSubmitted(stream, seal(request(trial_id)), context))

    def measured(self, board: Board, trial_id: str) -> list[str]:
        timeline = Timeline(started_s=1.0, finished_s=2.0)
        answer = Measurement(trial_id, Outcome.OK, run_secs=(0.1,), timeline=timeline)
        return self.after(events.TrialMeasured(board, answer))

    def after(self, event: events.Event) -> list[str]:
        effects = self.core.handle(event, Moment(1e9 + self.now_s, self.now_s))
        self.writes += [effect for effect in effects if isinstance(effect, Write)]
        return [*_told(effects)]

    def written(self, write: Write) -> list[str]:
        return self.after(events.Written(write.about, write.record))


def _told(effects: Iterable[Effect]) -> Iterable[str]:
    for effect in effects:
        if isinstance(effect, Send):
            order = effect.order
            if isinstance(order, TrialRequest):
                yield f"{effect.board.id} < {order.trial_id}"
            else:
                assert isinstance(order, (Acknowledge, Cancel))
                word = "stored" if isinstance(order, Acknowledge) else "cancel"
                yield f"{effect.board.id} < {word} {' '.join(order.trial_ids)}"
        elif isinstance(effect, Deliver):
            answer = effect.answer
            if isinstance(answer, Capacity):
                yield f"{effect.stream.id} < {answer.devices} boards"
            else:
                assert answer.outcome is not None
                yield f"{effect.stream.id} < {answer.trial_id} {answer.outcome.value}"
        elif isinstance(effect, Write):
            yield f"log < {effect.record.trial_id}"
        else:
            assert isinstance(effect, JobRecorded)
            yield f"job {effect.job_id or '-'} recorded"


@pytest.fixture
def farm() -> Farm:
    return Farm()


def test_a_trial_from_its_client_to_a_board_and_back(farm: Farm) -> None:
    stream = farm.open()
    board = farm.add("b")
    assert farm.after(events.BoardJoined(board)) == ["client < 1 boards"]
    assert farm.submit(stream, "t") == ["b < t"]
    assert farm.measured(board, "t") == ["b < stored t", "client < t ok"]
    assert stream.settled


def test_a_recorded_trial_is_answered_once_it_is_written(farm: Farm) -> None:
    stream = farm.open(job_id="job")
    board = farm.add("b")
    farm.after(events.BoardJoined(board))
    assert farm.submit(stream, "t", CONTEXT) == ["b < t"]
    assert farm.measured(board, "t") == ["log < t"]
    assert not stream.settled
    # The board did not hear that it is stored, and sends it again.
    assert farm.measured(board, "t") == []
    assert farm.written(farm.writes[0]) == ["b < stored t", "b < stored t", "job job recorded", "client < t ok"]
    assert farm.core.is_recorded(stream, "t")
    assert farm.measured(board, "t") == ["b < stored t"]


def test_times_of_the_board_are_placed_between_those_of_the_tracker(farm: Farm) -> None:
    stream, board = farm.open(), farm.add("b")
    farm.after(events.BoardJoined(board))
    farm.submit(stream, "t", CONTEXT)
    farm.now_s += 5.0
    farm.measured(board, "t")
    record: Record = farm.writes[0].record
    steps = record.measurement.timeline
    assert (steps.queued_s, steps.sent_s, steps.answered_s) == (1e9 + 1000, 1e9 + 1000, 1e9 + 1005)
    assert record.measurement.device_id == "b"


def test_the_first_measurement_wins(farm: Farm) -> None:
    stream, first, second = farm.open(), farm.add("b1"), farm.add("b2")
    farm.after(events.BoardJoined(first))
    farm.submit(stream, "t")
    farm.after(events.BoardJoined(second))
    farm.after(events.TrialsReturned(first, ("t",), "no room"))
    assert "t" in second.held
    # It ran it all the same.
    assert farm.measured(first, "t") == ["b2 < cancel t", "b1 < stored t", "client < t ok"]
    assert farm.measured(second, "t") == ["b2 < stored t"]


def test_what_a_lost_board_held_goes_to_the_head_of_the_queue(farm: Farm) -> None:
    stream, board = farm.open(), farm.add("b1", slots=2)
    farm.after(events.BoardJoined(board))
    for trial_id in ("t1", "t2", "t3"):
        farm.now_s += 1.0
        farm.submit(stream, trial_id)
    other = farm.add("b2", slots=3)
    del farm.boards["b2"]
    assert farm.lose(board) == ["client < 0 boards"]
    farm.boards["b2"] = other
    assert farm.after(events.BoardJoined(other)) == ["client < 1 boards", "b2 < t1", "b2 < t2", "b2 < t3"]


def test_three_lost_boards_are_enough(farm: Farm) -> None:
    stream = farm.open()
    farm.submit(stream, "t")
    for name in ("b1", "b2"):
        board = farm.add(name)
        assert farm.after(events.BoardJoined(board)) == ["client < 1 boards", f"{name} < t"]
        assert farm.lose(board) == ["client < 0 boards"]
    last = farm.add("b3")
    farm.after(events.BoardJoined(last))
    assert farm.lose(last) == ["client < 0 boards", "client < t unplaceable"]


def test_a_quarantine_ends_when_its_time_is_over(farm: Farm) -> None:
    stream, board = farm.open(), farm.add("b")
    farm.after(events.BoardJoined(board))
    farm.submit(stream, "t1")
    for trial_id in ("t2", "t3", "t4"):
        farm.submit(stream, trial_id)
    told = [farm.after(events.TrialsReturned(board, (next(iter(board.held)),), "no room")) for _ in range(3)]
    assert told[-1] == ["client < 0 boards", "client < t1 unplaceable"]
    for passed_s, back in ((1.0, []), (0.9, []), (0.2, ["client < 1 boards"])):
        farm.now_s += passed_s
        assert farm.after(events.Tick())[:1] == back
    assert board.held


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("queued", ["client < t cancelled"]),
        ("sent", ["client < t cancelled", "b < cancel t"]),
        ("measured", []),
        ("unknown", []),
    ],
)
def test_a_client_cancels(farm: Farm, state: str, told: list[str]) -> None:
    stream, board = farm.open(), farm.add("b")
    if state != "queued":
        farm.after(events.BoardJoined(board))
    if state != "unknown":
        farm.submit(stream, "t", CONTEXT)
    if state == "measured":
        farm.measured(board, "t")
    assert farm.after(events.TrialCancelled(stream, "t")) == told
    assert not farm.core.queued


def test_a_cancelled_job_measures_no_more(farm: Farm) -> None:
    stream, board = farm.open(job_id="job"), farm.add("b")
    farm.after(events.BoardJoined(board))
    farm.submit(stream, "t1")
    farm.submit(stream, "t2")
    told = farm.after(events.JobCancelled("job"))
    assert told == ["b < cancel t1", "client < t1 cancelled", "client < t2 cancelled"]
    assert farm.submit(stream, "t3") == ["client < t3 cancelled"]
    assert not farm.core.needs_files(stream, "t3")


def test_a_trial_follows_its_client_to_a_new_stream(farm: Farm) -> None:
    old, board = farm.open("old", job_id="job"), farm.add("b")
    farm.after(events.BoardJoined(board))
    farm.submit(old, "t")
    new = farm.open("new", job_id="job")
    assert not farm.core.needs_files(new, "t")
    assert farm.submit(new, "t") == []
    assert farm.after(events.StreamClosed(old)) == []
    assert farm.measured(board, "t") == ["b < stored t", "new < t ok"]


def test_a_client_that_goes_leaves_nothing_on_a_board(farm: Farm) -> None:
    stream, other, board = farm.open(), farm.open("other"), farm.add("b")
    farm.after(events.BoardJoined(board))
    farm.submit(stream, "t1")
    farm.submit(other, "t2")
    assert farm.after(events.StreamClosed(stream)) == ["b < cancel t1", "b < t2"]


@pytest.mark.parametrize(
    ("context", "told"), [(None, ["client < t build error"]), (CONTEXT, ["log < t"])], ids=["answered", "recorded"]
)
def test_a_failed_build(farm: Farm, context: RecordContext | None, told: list[str]) -> None:
    stream = farm.open()
    build = FailedBuild("t", Outcome.BUILD_ERROR, "no compiler", TimingPlan(), context)
    assert farm.after(events.BuildFailed(stream, build)) == told
    if context is not None:
        assert not stream.settled
        assert farm.written(farm.writes[0]) == ["job - recorded", "client < t build error"]
    assert stream.settled


def test_outputs_come_back_and_are_not_recorded(farm: Farm) -> None:
    stream, board = farm.open(), farm.add("b")
    farm.after(events.BoardJoined(board))
    farm.submit(stream, "t", CONTEXT)
    values = OutputTensor((1,), "int8", b"7")
    answer = Measurement("t", Outcome.OK, run_secs=(0.1,), outputs=(values,))
    assert farm.after(events.TrialMeasured(board, answer)) == ["log < t"]
    [write] = farm.writes
    assert write.record.measurement.outputs == ()
    effects = farm.core.handle(events.Written(write.about, write.record), Moment(0.0, 0.0))
    assert [e.answer.outputs for e in effects if isinstance(e, Deliver)] == [(values,)]  # type: ignore[union-attr]


@pytest.mark.parametrize("told_s", [10.0, 1e10])
def test_what_a_board_says_of_its_time_costs_nobody_their_turn(farm: Farm, told_s: float) -> None:
    """No user is charged for longer than a board had the trial, or its limit is: two have every second turn."""
    board = farm.add("a")
    streams = {user: Stream(user, OpenMeasure(user, f"job of {user}", "x86_64", user=user)) for user in ("ada", "bob")}
    for stream in streams.values():
        farm.after(events.StreamOpened(stream))
    told = farm.submit(streams["ada"], "ada 0")
    for number in range(1, 4):
        for user, stream in streams.items():
            farm.submit(stream, f"{user} {number}")
    turns: list[str] = []
    while running := next((line.removeprefix("a < ") for line in told if line.startswith(("a < ada", "a < bob"))), ""):
        turns.append(running.partition(" ")[0])
        farm.now_s += 10.0
        timeline = Timeline(started_s=1.0, finished_s=1.0 + (told_s if len(turns) == 3 else 10.0))
        answer = Measurement(running, Outcome.OK, run_secs=(0.1,), timeline=timeline)
        told = farm.after(events.TrialMeasured(board, answer))
    assert turns == ["ada", "bob", "ada", "bob", "ada", "bob", "ada"]
