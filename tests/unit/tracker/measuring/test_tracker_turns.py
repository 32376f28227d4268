"""Turns of users and jobs on boards, as the tracker's services give them; what a cancelled job leaves to others."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.orders_farm import Client, OrdersFarm
from tests.support.records import make_job
from tvm_farm.tracker.domain import Outcome
from tvm_farm.tracker.domain.errors import InvalidRequest


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[OrdersFarm]:
    farm = OrdersFarm(tmp_path)
    await farm.restart()
    yield farm
    await farm.store.stop()


async def open_job(farm: OrdersFarm, job_id: str, user: str, priority: int = 0) -> Client:
    made = make_job(job_id)
    made = replace(made, spec=replace(made.spec, user=user, priority=priority))
    await farm.store.run(farm.store.store.jobs.add, made, "")
    # What the client says of user and priority does not count beside its job's.
    return await farm.open(job_id=job_id, user="liar", priority=4)


async def trials_run(farm: OrdersFarm, clients: dict[str, Client], turns: int) -> Counter[str]:
    """Trials of a second each, always more of each client waiting, on one board: how many each got."""
    for name, client in clients.items():
        await farm.submit(client, *(f"{name}.{n}" for n in range(turns)))
    board = farm.join("board")
    for turn in range(turns):
        farm.now += 1.0
        farm.answer(board, farm.sent["board"][turn])
    return Counter(trial.partition(".")[0] for trial in farm.sent["board"][:turns])


async def test_boards_are_shared_by_user_then_by_job(farm: OrdersFarm) -> None:
    clients = {f"a{n}": await open_job(farm, f"a{n}", "ada") for n in range(3)}
    clients["b"] = await open_job(farm, "b", "bob")
    got = await trials_run(farm, clients, 120)
    assert got["b"] == pytest.approx(60, abs=4)
    assert [got[f"a{n}"] for n in range(3)] == [pytest.approx(20, abs=3)] * 3


async def test_a_priority_is_its_jobs(farm: OrdersFarm) -> None:
    clients = {"low": await open_job(farm, "low", "ada"), "high": await open_job(farm, "high", "bob", 2)}
    got = await trials_run(farm, clients, 100)
    assert got["high"] == pytest.approx(80, abs=4)


async def test_a_stream_without_a_job_says_its_own(farm: OrdersFarm) -> None:
    clients = {"low": await farm.open("ada"), "high": await farm.open("bob", priority=1)}
    got = await trials_run(farm, clients, 90)
    assert got["high"] == pytest.approx(60, abs=4)
    with pytest.raises(InvalidRequest, match="no priority -5: it goes from -4 to 4"):
        await farm.open("ada", priority=-5)


async def test_two_streams_of_a_job_have_one_share(farm: OrdersFarm) -> None:
    first, other = await open_job(farm, "a", "ada"), await open_job(farm, "b", "ada")
    second = await farm.open(job_id="a")
    got = await trials_run(farm, {"first": first, "second": second, "b": other}, 60)
    assert got["b"] == pytest.approx(30, abs=3)
    assert got["first"] + got["second"] == pytest.approx(30, abs=3)


async def test_trials_of_a_jobs_streams_go_in_their_order(farm: OrdersFarm) -> None:
    first, other = await open_job(farm, "a", "ada"), await farm.open("bob")
    second = await farm.open(job_id="a")
    for client, trial in ((second, "a0"), (first, "a1"), (second, "a2"), (other, "b0")):
        farm.now += 1.0
        await farm.submit(client, trial)
    farm.join("board", slots=4)
    assert sorted(farm.sent["board"]) == ["a0", "a1", "a2", "b0"]
    assert [trial for trial in farm.sent["board"] if trial.startswith("a")] == ["a0", "a1", "a2"]


async def test_a_job_that_closes_one_of_its_streams_still_pays(farm: OrdersFarm) -> None:
    first, other = await open_job(farm, "a", "ada"), await farm.open("bob")
    second = await farm.open(job_id="a")
    await farm.submit(first, "a0", "a1")
    await farm.submit(other, "b0", "b1")
    board = farm.join("board")
    farm.measuring.close(second.stream)
    farm.answer(board, "a0", 5.0)
    farm.answer(board, "b0", 1.0)
    assert farm.sent["board"] == ["a0", "b0", "b1"]


async def test_who_left_is_forgotten(farm: OrdersFarm) -> None:
    board = farm.join("board")
    for n in range(3):
        client = await farm.open("ada")
        await farm.submit(client, f"t{n}")
        farm.answer(board, f"t{n}")
        farm.measuring.close(client.stream)
        farm.now += 3600.0
    [share] = farm.measuring._core._dispatch._shares.values()
    assert len(share._jobs) == 1


async def test_a_cancelled_job_leaves_its_boards_to_others_at_once(farm: OrdersFarm) -> None:
    board = farm.join("board", slots=2)
    jobs, other = await open_job(farm, "a", "ada"), await farm.open("bob")
    await farm.submit(jobs, "a0", "a1", "a2")
    await farm.submit(other, "b0", "b1")
    farm.measuring.started(board, "a0")
    assert farm.sent["board"] == ["a0", "a1"]
    # Not a moment passes: the board is told to stop and what to run instead in one step.
    farm.measuring.cancel_job("a")
    assert sorted(farm.cancelled["board"]) == ["a0", "a1"]
    assert farm.sent["board"] == ["a0", "a1", "b0", "b1"]
    assert {t: m.outcome for t, m in jobs.answers.items()} == dict.fromkeys(["a0", "a1", "a2"], Outcome.CANCELLED)
