"""Which boards a trial fits on, and which are better left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.measure_client import request
from tests.support.orders_farm import Client, OrdersFarm
from tvm_farm.protos.device import Telemetry
from tvm_farm.protos.farm.v1 import measurement_pb2
from tvm_farm.protos.measurement import Measurement, Timeline
from tvm_farm.tracker.domain import Outcome
from tvm_farm.tracker.measuring.board import Board
from tvm_farm.tracker.measuring.dispatch import MEMORY_PATIENCE_S
from tvm_farm.tracker.scheduling.health import FAILURES, ailment
from tvm_farm.tracker.scheduling.memory import fits, no_room
from tvm_farm.tracker.scheduling.placement import Placement
from tvm_farm.tracker.wire.requests import seal

GIB = 1 << 30


@pytest.mark.parametrize(
    ("need", "free", "fit"),
    [(0, 0, True), (8 * GIB, 10 * GIB, True), (8 * GIB + 1, 10 * GIB, False), (GIB, None, True), (1, 0, False)],
)
def test_a_trial_gets_a_part_of_what_is_free(need: int, free: int | None, fit: bool) -> None:
    assert fits(need, free) is fit


@pytest.mark.parametrize(
    ("boards", "never", "said"),
    [
        pytest.param([], False, "", id="no board: it waits for one"),
        pytest.param([("a", None, 0)], False, "", id="it does not tell"),
        pytest.param([("a", GIB, 2 * GIB), ("b", 9 * GIB, 9 * GIB)], False, "", id="one fits"),
        pytest.param([("a", GIB, 9 * GIB)], False, "a has the most memory free", id="not now"),
        pytest.param([("a", GIB, 2 * GIB), ("b", GIB, 9 * GIB)], False, "1.00 GiB of 9.00 GiB", id="not now, on one"),
        pytest.param([("a", GIB, 2 * GIB), ("b", 2 * GIB, 4 * GIB)], True, "b has the most memory free", id="never"),
        pytest.param([("a", GIB, 0)], False, "1.00 GiB, and a trial gets 80%", id="how much it has is not known"),
    ],
)
def test_no_room(boards: list[tuple[str, int | None, int]], never: bool, said: str) -> None:
    reason, forever = no_room(4 * GIB, boards)
    assert forever is never
    assert said in reason
    assert bool(reason) is bool(said)
    assert not reason or "take 4.00 GiB" in reason


@pytest.mark.parametrize(
    ("telemetry", "failures", "said"),
    [
        (None, 0, ""),
        (Telemetry(temperature_c=84.9), FAILURES - 1, ""),
        (Telemetry(temperature_c=85.0), 0, "hot (85 °C)"),
        (Telemetry(throttling=("under-voltage", "throttled")), 0, "throttled (under-voltage, throttled)"),
        (Telemetry(), FAILURES, f"its last {FAILURES} trials failed"),
    ],
)
def test_ailment(telemetry: Telemetry | None, failures: int, said: str) -> None:
    assert ailment(telemetry, failures) == said


def test_one_that_ails_comes_after_all_others_that_have_a_slot() -> None:
    placement = Placement()
    placement.put("ails", 2, 0, ailing=True)
    assert placement.least_held() == "ails"
    placement.put("well", 2, 1)
    assert placement.least_held() == "well"
    assert placement.least_held(avoid=("well",)) == "ails"
    placement.put("well", 2, 2)
    assert placement.least_held() == "ails"
    placement.put("ails", 2, 0)
    placement.put("well", 2, 1)
    assert placement.least_held() == "ails"
    placement.remove("ails")
    assert (placement.devices, placement.least_held()) == (1, "well")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([([3, 4], "float32")], 48),
        ([([3], "int8"), ([2, 2], "float16"), ([5], "bool"), ([2], "bfloat16")], 3 + 8 + 5 + 4),
        ([([], "float64")], 8),
        ([([1 << 20, 1 << 10], "uint8")], 1 << 30),
    ],
)
def test_what_a_request_takes(arguments: list[tuple[list[int], str]], expected: int) -> None:
    args = [measurement_pb2.Argument(shape=shape, dtype=dtype, fill_seed=1) for shape, dtype in arguments]
    trial = request("t", b"12345", args=args, params=measurement_pb2.Artifact(digest="p", size=100))
    assert seal(trial).memory_bytes == expected + 105


# Placed by the tracker's services.


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[OrdersFarm]:
    farm = OrdersFarm(tmp_path)
    await farm.restart()
    yield farm
    await farm.store.stop()


def free(memory: float, **more: object) -> Telemetry:
    return Telemetry(memory_available_bytes=int(memory * GIB), **more)  # type: ignore[arg-type]


async def submit(farm: OrdersFarm, client: Client, trial_id: str, gib: float) -> None:
    tensor = measurement_pb2.Argument(shape=[int(gib * GIB)], dtype="int8", fill_seed=1)
    await farm.measuring.submit(client.stream, seal(request(trial_id, args=[tensor])), None)


def feel(farm: OrdersFarm, board: Board, telemetry: Telemetry) -> None:
    farm.fleet.heard(board, telemetry)


async def test_a_large_trial_waits_for_the_board_that_has_room_for_it(farm: OrdersFarm) -> None:
    small, large = farm.join("small", telemetry=free(1)), farm.join("large", telemetry=free(8))
    client = await farm.open()
    await submit(farm, client, "first", 2)
    assert (small.held, large.held) == (set(), {"first"})
    await submit(farm, client, "second", 2)
    await submit(farm, client, "little", 0.5)
    # What fits goes past what waits.
    assert (small.held, large.held) == ({"little"}, {"first"})
    farm.answer(small, "little")
    assert small.held == set()
    farm.answer(large, "first")
    assert (small.held, large.held) == (set(), {"second"})


async def test_memory_that_becomes_free_is_used(farm: OrdersFarm) -> None:
    board = farm.join("board", telemetry=free(1))
    client = await farm.open()
    await submit(farm, client, "t", 2)
    assert board.held == set()
    farm.measuring.tick()
    farm.now += MEMORY_PATIENCE_S - 1
    farm.measuring.tick()
    assert client.answers == {}
    feel(farm, board, free(4))
    assert board.held == {"t"}


async def test_a_kernel_gives_back_what_a_reading_in_its_middle_lacks(farm: OrdersFarm) -> None:
    board = farm.join("board", slots=1, telemetry=free(4))
    client = await farm.open()
    await submit(farm, client, "a", 3)
    await submit(farm, client, "b", 3)
    farm.measuring.started(board, "a")
    feel(farm, board, free(1))
    farm.answer(board, "a")
    assert board.held == {"b"}


async def test_what_never_fits_is_refused_with_the_numbers(farm: OrdersFarm) -> None:
    client = await farm.open()
    await submit(farm, client, "t", 6)
    farm.measuring.tick()
    assert client.answers == {}, "it waits for an empty farm"
    farm.join("board", telemetry=free(1), memory_bytes=2 * GIB)
    farm.measuring.tick()
    answer = client.answers["t"]
    assert answer.outcome is Outcome.UNPLACEABLE
    assert "take 6.00 GiB; board has the most memory free" in answer.detail
    assert "1.00 GiB of 2.00 GiB, and a trial gets 80% of that" in answer.detail


async def test_what_has_no_room_for_long_is_refused(farm: OrdersFarm) -> None:
    farm.join("board", telemetry=free(1), memory_bytes=16 * GIB)
    client = await farm.open()
    await submit(farm, client, "t", 6)
    farm.measuring.tick()
    farm.now += MEMORY_PATIENCE_S
    farm.measuring.tick()
    assert client.answers["t"].outcome is Outcome.UNPLACEABLE
    assert "1.00 GiB of 16.0 GiB" in client.answers["t"].detail
    assert await idle_after(farm, client)


async def idle_after(farm: OrdersFarm, client: Client) -> bool:
    """Whether the stream goes on with what fits."""
    await submit(farm, client, "next", 0.1)
    return farm.sent["board"] == ["next"]


async def test_a_board_that_ails_is_passed_over_while_another_has_a_free_slot(farm: OrdersFarm) -> None:
    hot, well = farm.join("hot", slots=2, telemetry=free(8, temperature_c=91.0)), farm.join("well", slots=2)
    client = await farm.open()
    await farm.submit(client, "a", "b", "c")
    assert (well.held, hot.held) == ({"a", "b"}, {"c"})
    assert (farm.fleet.device("hot").ailing, farm.fleet.device("well").ailing) == ("hot (91 °C)", "")
    feel(farm, hot, free(8, temperature_c=60.0))
    assert farm.fleet.device("hot").ailing == ""
    for trial in ("a", "b"):
        farm.answer(well, trial)
    feel(farm, well, free(8, throttling=("throttled",)))
    await farm.submit(client, "d")
    assert (well.held, hot.held) == (set(), {"c", "d"})


async def test_a_board_on_which_all_fails_is_passed_over_until_something_runs(farm: OrdersFarm) -> None:
    sick = farm.join("sick", slots=1)
    client = await farm.open()
    timeline = Timeline(started_s=1.0, finished_s=2.0)
    for n in range(FAILURES):
        await farm.submit(client, f"t{n}")
        farm.measuring.result(sick, Measurement(f"t{n}", Outcome.CRASH, timeline=timeline))
    assert farm.fleet.device("sick").ailing == f"its last {FAILURES} trials failed"
    well = farm.join("well", slots=1)
    await farm.submit(client, "a", "b")
    assert (well.held, sick.held) == ({"a"}, {"b"})
    farm.answer(sick, "b")
    assert farm.fleet.device("sick").ailing == ""
