"""Boards that give trials back: who gets those trials, who gets none for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.measure_client import request
from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode, Telemetry
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import measurement_pb2
from tvm_farm.protos.measurement import Timeline
from tvm_farm.tracker.domain import Join, Measurement, OpenMeasure, Outcome
from tvm_farm.tracker.measuring import dispatch
from tvm_farm.tracker.measuring.board import Board, Order
from tvm_farm.tracker.measuring.request import INLINE_BYTES, TrialRequest
from tvm_farm.tracker.measuring.stream import Stream
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.measuring import Measuring
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.store import open_store
from tvm_farm.tracker.wire.requests import seal


class Farm:
    """A fleet and its measuring on a store in memory, one open stream, boards that keep what they are sent."""

    def __init__(self, state: Path) -> None:
        self.store = StoreThread(open_store("memory:"), asyncio.get_running_loop())
        self.fleet = Fleet(self.store)
        self.now = 1000.0
        self.measuring = Measuring(
            self.fleet, self.store, ArtifactStore(state), "1", lambda job_id: None, lambda: self.now, lambda: self.now
        )
        self.answers: dict[str, Measurement] = {}
        self.sent: dict[str, list[str]] = {}

    async def open(self) -> Stream:
        await self.fleet.load(self.measuring)
        return await self.measuring.open(OpenMeasure("test", "", "x86_64"), self._answered)

    def _answered(self, answer: object) -> None:
        if isinstance(answer, Measurement):
            self.answers[answer.trial_id] = answer

    def board(self, name: str, slots: int = 2) -> Board:
        sent = self.sent.setdefault(name, [])

        def send(order: Order | None) -> None:
            if isinstance(order, TrialRequest):
                sent.append(order.trial_id)

        runner = RunnerInfo(RunnerMode.FULL)
        joining = Join(PROTOCOL_VERSION, name, name, Fingerprint(arch="x86_64", hostname=name), runner, slots=slots)
        board = self.fleet.join(joining, send)
        self.fleet.ready(board)
        return board

    async def submit(self, stream: Stream, *trial_ids: str) -> None:
        for trial_id in trial_ids:
            await self.measuring.submit(stream, seal(request(trial_id)), None)

    def pass_s(self, seconds: float) -> None:
        self.now += seconds
        self.measuring.tick()

    def give_back(self, board: Board, trial_id: str) -> None:
        self.measuring.give_back(board, (trial_id,), "no room for the library")

    def answer(self, board: Board, trial_id: str) -> None:
        timeline = Timeline(started_s=1.0, finished_s=2.0)
        self.measuring.result(board, Measurement(trial_id, Outcome.OK, run_secs=(0.1,), timeline=timeline))


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    farm = Farm(tmp_path)
    yield farm
    await farm.store.stop()


async def test_a_sick_board_swallows_nothing_beside_a_healthy_one(farm: Farm) -> None:
    stream = await farm.open()
    healthy, sick = farm.board("healthy"), farm.board("sick")
    await farm.submit(stream, *(f"t{n}" for n in range(30)))
    given_back = 0
    while sick.held:
        farm.give_back(sick, min(sick.held))
        given_back += 1
    assert given_back <= 3 + sick.slots
    while healthy.held:
        farm.answer(healthy, min(healthy.held))
    assert {a.outcome for a in farm.answers.values()} == {Outcome.OK}
    assert len(farm.answers) == 30


async def test_a_trial_that_was_given_back_waits_for_the_other_board(farm: Farm) -> None:
    stream = await farm.open()
    picky = farm.board("picky", slots=1)
    await farm.submit(stream, "t0")
    other = farm.board("other", slots=1)
    await farm.submit(stream, "t1", "t2")
    assert (picky.held, other.held) == ({"t0"}, {"t1"})
    farm.give_back(picky, "t0")
    # The next in line does not wait with it.
    assert (picky.held, other.held) == ({"t2"}, {"t1"})
    farm.answer(picky, "t2")
    assert picky.held == set()
    farm.answer(other, "t1")
    assert other.held == {"t0"}


async def test_it_goes_back_when_the_other_board_is_lost(farm: Farm) -> None:
    stream = await farm.open()
    picky, other = farm.board("picky", slots=1), farm.board("other", slots=1)
    await farm.submit(stream, "t0", "t1")
    holder, busy = (picky, other) if "t0" in picky.held else (other, picky)
    farm.give_back(holder, "t0")
    assert holder.held == set()
    farm.fleet.leave(busy, "cut")
    assert holder.held == {"t1"} or holder.held == {"t0"}
    farm.answer(holder, next(iter(holder.held)))
    farm.answer(holder, next(iter(holder.held)))
    assert len(farm.answers) == 2


async def test_a_trial_has_no_place_when_every_board_gave_it_back(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "QUARANTINE_REFUSALS", 100)
    stream = await farm.open()
    boards = [farm.board(f"board-{n}") for n in range(4)]
    await farm.submit(stream, "t")
    for given_back in range(1, 5):
        assert "t" not in farm.answers
        assert sum("t" in board.held for board in boards) == 1
        farm.give_back(next(board for board in boards if "t" in board.held), "t")
        assert ("t" in farm.answers) == (given_back == 4)
    assert farm.answers["t"].outcome is Outcome.UNPLACEABLE
    assert sorted(farm.sent.values()) == [["t"]] * 4


async def test_quarantine_ends_and_grows(farm: Farm, caplog: pytest.LogCaptureFixture) -> None:
    stream = await farm.open()
    board = farm.board("board", slots=1)
    await farm.submit(stream, *(f"t{n}" for n in range(9)))
    for _ in range(3):
        farm.give_back(board, next(iter(board.held)))
    assert not board.held
    assert "board gave back 3 trials in a row and is in quarantine" in caplog.text
    farm.pass_s(1.9)
    assert not board.held
    farm.pass_s(0.2)
    assert board.held
    # It is no better: one is enough now, for twice as long.
    farm.give_back(board, next(iter(board.held)))
    farm.pass_s(3.9)
    assert not board.held
    farm.pass_s(0.2)
    farm.answer(board, next(iter(board.held)))
    assert board.refusals == 0
    farm.give_back(board, next(iter(board.held)))
    assert board.held


async def test_waiting_is_counted_once_a_trial(farm: Farm) -> None:
    stream = await farm.open()
    await farm.submit(stream, "t")
    farm.now += 1.0
    board = farm.board("board")
    farm.now += 50.0
    farm.give_back(board, "t")
    assert farm.sent["board"] == ["t", "t"]
    waited = farm.measuring.waited
    assert (sum(waited.counts), waited.total_s) == (1, 1.0)


async def test_what_a_trial_brings_counts_against_its_streams_memory(farm: Farm) -> None:
    stream = await farm.open()
    trial = request("t", args=[measurement_pb2.Argument(shape=[9], dtype="int8", data=b"9" * 9)])
    await farm.measuring.submit(stream, seal(trial), None)
    assert stream.bytes == trial.ByteSize()
    large = request("large", b"x" * (INLINE_BYTES + 1))
    await farm.measuring.submit(stream, seal(large), None)
    assert stream.bytes < 2 * trial.ByteSize() + 200  # its library is in the store


async def test_a_trial_waits_for_an_empty_farm(farm: Farm) -> None:
    stream = await farm.open()
    await farm.submit(stream, "t")
    board = farm.board("board")
    for _ in range(2):
        farm.give_back(board, "t")
    farm.fleet.leave(board, "cut")
    assert "t" not in farm.answers
    farm.answer(farm.board("other"), "t")
    assert farm.answers["t"].outcome is Outcome.OK


async def test_a_board_without_room_gets_none_and_is_no_worse_for_it(farm: Farm) -> None:
    stream = await farm.open()
    full = farm.board("full", slots=1)
    await farm.submit(stream, *(f"t{n}" for n in range(3)))
    for _ in range(10):  # the disk fills up, has room, and fills up again, more often than a trial may be lost
        held = next(iter(full.held))
        farm.fleet.heard(full, Telemetry(1.0, disk_fault="its disk is full"))
        farm.give_back(full, held)
        assert full.held == set()
        assert farm.fleet.device("full").ailing == "its disk is full"
        farm.fleet.heard(full, Telemetry(2.0))
        assert full.held
    farm.fleet.heard(full, Telemetry(3.0, disk_fault="its disk is full"))
    farm.give_back(full, next(iter(full.held)))
    other = farm.board("other", slots=1)
    while other.held:
        farm.answer(other, next(iter(other.held)))
    assert {a.outcome for a in farm.answers.values()} == {Outcome.OK}
    assert sorted(farm.answers) == ["t0", "t1", "t2"]
    assert not full.quarantined
