"""Leases, drains and labels: the rules as tables, then what boards and streams see of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.orders_farm import OrdersFarm
from tests.support.records import make_job
from tvm_farm.tracker.domain import Capacity, DeviceOrders, DeviceState, Drain, JobState, Lease
from tvm_farm.tracker.domain.device_orders import MAX_LEASE_S, drained, labelled, leased, released, resumed
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound, NotPossible, TrackerError
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.jobs import Jobs
from tvm_farm.tracker.services.runtimes import Runtimes

NOW = 1000.0
ADAS = DeviceOrders(lease=Lease("ada", 900.0, 1600.0))
OVER = DeviceOrders(lease=Lease("ada", 400.0, NOW))


@pytest.mark.parametrize(
    ("orders", "user", "for_s", "after"),
    [
        (DeviceOrders(), "ada", 60.0, Lease("ada", NOW, 1060.0)),
        (OVER, "bob", 60.0, Lease("bob", NOW, 1060.0)),
        (OVER, "ada", 60.0, Lease("ada", NOW, 1060.0)),
        (ADAS, "ada", 900.0, Lease("ada", 900.0, 1900.0)),
        (ADAS, "ada", 60.0, Lease("ada", 900.0, 1600.0)),
        (DeviceOrders(), "ada", MAX_LEASE_S, Lease("ada", NOW, NOW + MAX_LEASE_S)),
    ],
    ids=["free", "another's is over", "one's own is over", "renewed", "never shorter", "the longest"],
)
def test_leases(orders: DeviceOrders, user: str, for_s: float, after: Lease) -> None:
    assert leased(orders, "pi", user, for_s, NOW).lease == after


@pytest.mark.parametrize(
    ("orders", "user", "for_s", "error", "sentence"),
    [
        (ADAS, "bob", 60.0, NotPossible, r"^device pi is leased to ada until 1970-01-01 00:26:40 UTC$"),
        (DeviceOrders(), "", 60.0, InvalidRequest, "needs a user"),
        (DeviceOrders(), "ada", 0.0, InvalidRequest, "at most 7 days, not 0 s"),
        (DeviceOrders(), "ada", float("nan"), InvalidRequest, "at most 7 days, not nan s"),
        (DeviceOrders(), "ada", MAX_LEASE_S + 1, InvalidRequest, "at most 7 days"),
    ],
)
def test_leases_that_cannot_be(
    orders: DeviceOrders, user: str, for_s: float, error: type[TrackerError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        leased(orders, "pi", user, for_s, NOW)


def test_release() -> None:
    assert released(ADAS, "pi", "ada", NOW) == DeviceOrders()
    with pytest.raises(NotPossible, match="leased to ada until"):
        released(ADAS, "pi", "bob", NOW)
    for orders in (DeviceOrders(), OVER):
        with pytest.raises(NotPossible, match="not leased"):
            released(orders, "pi", "ada", NOW)


def test_an_order_leaves_the_others_alone() -> None:
    orders = DeviceOrders(ADAS.lease, Drain("bob", 1.0, "fan"), {"room": "cold"})
    assert resumed(orders, "pi") == DeviceOrders(ADAS.lease, None, {"room": "cold"})
    assert released(orders, "pi", "ada", NOW) == DeviceOrders(None, orders.drain, {"room": "cold"})
    assert labelled(orders, "pi", {}, ["room"], {}) == DeviceOrders(ADAS.lease, orders.drain)
    assert drained(orders, "eve", "new fan", NOW) == DeviceOrders(
        ADAS.lease, Drain("eve", 1.0, "new fan"), {"room": "cold"}
    )
    assert orders.at(2000.0) == DeviceOrders(None, orders.drain, {"room": "cold"})


@pytest.mark.parametrize(
    ("put", "remove", "after"),
    [
        ({"room": "cold"}, [], {"rack": "2", "room": "cold"}),
        ({"rack": "3"}, [], {"rack": "3"}),
        ({}, ["rack"], {}),
        ({"room": "cold"}, ["rack"], {"room": "cold"}),
    ],
)
def test_labels(put: dict[str, str], remove: list[str], after: dict[str, str]) -> None:
    assert labelled(DeviceOrders(labels={"rack": "2"}), "pi", put, remove, {"own": "1"}).labels == after


@pytest.mark.parametrize(
    ("put", "remove", "sentence"),
    [
        ({"rack": "3"}, ["rack"], "'rack' is to be set and removed"),
        ({}, ["own"], "'own' comes from the agent of pi"),
        ({}, ["attic"], "pi has no label 'attic'"),
    ],
)
def test_labels_that_cannot_be_removed(put: dict[str, str], remove: list[str], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        labelled(DeviceOrders(labels={"rack": "2"}), "pi", put, remove, {"own": "1"})


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[OrdersFarm]:
    farm = OrdersFarm(tmp_path)
    await farm.restart()
    yield farm
    await farm.store.stop()


async def test_a_drained_board_finishes_what_it_holds_and_gets_no_more(farm: OrdersFarm) -> None:
    board, client = farm.join("a", slots=2), await farm.open()
    await farm.submit(client, "t0", "t1", "t2")
    device = await farm.order_book.drain("a", "ada", "  new fan ")
    assert (device.state, device.held, device.drain) == (DeviceState.DRAINING, 2, Drain("ada", farm.now, "new fan"))
    assert client.capacity == Capacity(0, 0)
    for trial in ("t0", "t1"):
        farm.answer(board, trial)
    assert client.answers.keys() == {"t0", "t1"}
    assert (farm.sent["a"], farm.cancelled["a"]) == (["t0", "t1"], [])
    assert (await farm.order_book.resume("a")).state is DeviceState.MEASURING
    assert farm.sent["a"] == ["t0", "t1", "t2"]
    assert client.capacity == Capacity(1, 2)


async def test_a_drain_outlives_the_agent_and_the_tracker(farm: OrdersFarm) -> None:
    board = farm.join("a")
    await farm.order_book.drain("a", "ada", "")
    farm.fleet.leave(board, "its agent ended")
    assert not farm.join("a").takes_work
    await farm.restart()
    assert farm.fleet.device("a").state is DeviceState.LOST
    board, client = farm.join("a"), await farm.open()
    await farm.submit(client, "t")
    assert (board.state, farm.sent["a"]) == (DeviceState.DRAINING, [])
    await farm.order_book.resume("a")
    assert farm.sent["a"] == ["t"]
    await farm.restart()
    assert farm.join("a").takes_work
    with pytest.raises(NotPossible, match="nobody drained a"):
        await farm.order_book.resume("a")


async def test_a_board_that_is_not_there_can_be_drained(farm: OrdersFarm) -> None:
    farm.fleet.leave(farm.join("a"), "cut")
    device = await farm.order_book.drain("a", "ada", "in the drawer")
    assert (device.state, device.drain and device.drain.reason) == (DeviceState.LOST, "in the drawer")
    assert not farm.join("a").takes_work


@pytest.mark.parametrize("order", ["drain", "lease", "label"])
async def test_what_waits_for_a_board_that_goes_is_for_those_that_gave_it_back(farm: OrdersFarm, order: str) -> None:
    await farm.fleet.put_pool("lab", {"rack": "1"})
    here, there = farm.join("a", labels={"rack": "1"}), farm.join("b", labels={"rack": "1"})
    client = await farm.open("bob", pool="lab")
    await farm.submit(client, "busy", "t")
    assert (farm.sent["a"], farm.sent["b"]) == (["busy"], ["t"])
    farm.measuring.give_back(there, ("t",), "no room")
    assert farm.sent["b"] == ["t"]
    if order == "drain":
        await farm.order_book.drain("a", "ada", "")
    elif order == "lease":
        await farm.order_book.lease("a", "ada", 60.0)
    else:
        await farm.order_book.label("a", {"rack": "2"}, [])
    assert farm.sent["b"] == ["t", "t"]
    assert here.held == {"busy"}


async def test_a_leased_board_works_for_its_holder_alone(farm: OrdersFarm) -> None:
    board = farm.join("a", slots=2)
    adas, bobs, nobodys = await farm.open("ada"), await farm.open("bob"), await farm.open()
    await farm.submit(bobs, "b0", "b1", "b2")
    device = await farm.order_book.lease("a", "ada", 60.0)
    # What it holds it finishes.
    assert (device.held, farm.cancelled["a"]) == (2, [])
    assert [c.capacity for c in (adas, bobs, nobodys)] == [Capacity(1, 2), Capacity(0, 0), Capacity(0, 0)]
    await farm.submit(nobodys, "n0")
    await farm.submit(adas, "a0")
    farm.answer(board, "b0")
    farm.answer(board, "b1")
    farm.answer(board, "a0")
    assert farm.sent["a"] == ["b0", "b1", "a0"]
    # A stream that opens during the lease, and boards that join, make no difference.
    later = await farm.open("ada")
    await farm.submit(later, "a1")
    assert farm.sent["a"][-1] == "a1"
    farm.join("b")
    assert farm.sent["b"] == ["n0"]
    assert (later.capacity, bobs.capacity) == (Capacity(2, 3), Capacity(1, 1))
    await farm.order_book.release("a", "ada")
    assert farm.sent["a"][-1] == "b2"
    assert {c.capacity for c in (adas, bobs, nobodys, later)} == {Capacity(2, 3)}


async def test_a_lease_ends_by_itself(farm: OrdersFarm) -> None:
    farm.join("a")
    bobs = await farm.open("bob")
    await farm.order_book.lease("a", "ada", 60.0)
    await farm.submit(bobs, "t")
    farm.now += 59.0
    farm.fleet.tick()
    assert (farm.sent["a"], farm.fleet.device("a").lease is None) == ([], False)
    await farm.order_book.lease("a", "ada", 60.0)
    farm.now += 59.0
    farm.fleet.tick()
    assert farm.sent["a"] == []
    farm.now += 1.0
    farm.fleet.tick()
    assert (farm.sent["a"], farm.fleet.device("a").lease) == (["t"], None)
    assert farm.fleet.lease_holders() == set()


async def test_a_lease_outlives_the_tracker_and_not_its_time(farm: OrdersFarm) -> None:
    farm.join("a")
    farm.join("b")
    await farm.order_book.lease("a", "ada", 60.0)
    await farm.order_book.lease("b", "ada", 90.0)
    farm.now += 70.0
    await farm.restart()
    assert [device.lease for device in farm.fleet.devices()] == [None, Lease("ada", 1_000_000.0, 1_000_090.0)]
    bobs = await farm.open("bob")
    farm.join("b")
    await farm.submit(bobs, "t")
    assert farm.sent["b"] == []
    farm.join("a")
    assert farm.sent["a"] == ["t"]


async def test_labels_move_a_board_between_pools_while_streams_are_open(farm: OrdersFarm) -> None:
    board = farm.join("a", labels={"rack": "1"})
    await farm.fleet.put_pool("lab", {"room": "cold"})
    client = await farm.open(pool="lab")
    await farm.submit(client, "t0", "t1")
    assert (client.capacity, farm.sent["a"]) == (Capacity(0, 0), [])
    device = await farm.order_book.label("a", {"room": "cold", "rack": "2"}, [])
    assert (device.labels["rack"], device.hand_labels) == ("2", {"room": "cold", "rack": "2"})
    assert device.pools == ("lab", "x86_64")
    assert (client.capacity, farm.sent["a"]) == (Capacity(1, 1), ["t0"])
    await farm.fleet.put_pool("lab", {"rack": "1"})
    assert client.capacity == Capacity(0, 0)
    farm.answer(board, "t0")
    assert farm.sent["a"] == ["t0"]
    # Its agent's own value shows again.
    device = await farm.order_book.label("a", {}, ["rack"])
    assert (device.labels["rack"], device.pools) == ("1", ("lab", "x86_64"))
    assert farm.sent["a"] == ["t0", "t1"]
    farm.fleet.leave(board, "cut")
    await farm.restart()
    assert (farm.fleet.device("a").labels["room"], farm.fleet.device("a").labels["rack"]) == ("cold", "1")
    assert "room" not in (await farm.order_book.label("a", {}, ["room"])).labels
    assert farm.join("a", labels={"rack": "3"}).device.labels["rack"] == "3"


async def test_a_jobs_devices_are_those_that_work_for_it(farm: OrdersFarm) -> None:
    farm.join("a")
    device_class = farm.join("b").device.device_class
    artifacts = ArtifactStore(farm.state)
    jobs = Jobs(farm.fleet, farm.store, artifacts, Runtimes(artifacts, farm.state / "runtimes.jsonl"), lambda: farm.now)
    adas = make_job(state=JobState.RUNNING, device_class=device_class)
    await farm.order_book.lease("a", "bob", 60.0)
    assert jobs.seen(adas).devices == 1
    await farm.order_book.lease("b", "ada", 60.0)
    assert jobs.seen(adas).devices == 1
    await farm.order_book.release("a", "bob")
    assert jobs.seen(adas).devices == 2


@pytest.mark.parametrize(
    ("put", "remove", "sentence"),
    [
        ({"arch": "z80"}, [], "'arch' is set by the tracker"),
        ({}, ["name"], "'name' is set by the tracker"),
        ({"a b": "1"}, [], "is not a label"),
        ({"room": "c/\n"}, [], "is not a label"),
        ({}, ["rack"], "comes from the agent of a"),
    ],
)
async def test_labels_that_cannot_be(farm: OrdersFarm, put: dict[str, str], remove: list[str], sentence: str) -> None:
    farm.join("a", labels={"rack": "1"})
    before = farm.fleet.device("a")
    with pytest.raises(InvalidRequest, match=sentence):
        await farm.order_book.label("a", put, remove)
    assert farm.fleet.device("a") == before


@pytest.mark.parametrize(
    ("order", "arguments"), [("lease", ("ada", 60.0)), ("release", ("ada",)), ("drain", ("ada", "")), ("resume", ())]
)
async def test_unknown_devices(farm: OrdersFarm, order: str, arguments: tuple[Any, ...]) -> None:
    farm.join("a")
    with pytest.raises(NotFound, match="no device 'attic'"):
        await getattr(farm.order_book, order)("attic", *arguments)


async def test_a_forgotten_device_is_gone_with_all_that_was_ordered_of_it(farm: OrdersFarm) -> None:
    board = farm.join("pi")
    farm.join("other")
    await farm.order_book.label("pi", {"room": "cold"}, [])
    await farm.order_book.drain("pi", "eve", "fan")
    with pytest.raises(NotPossible, match=r"^device pi is connected: stop its agent before it is forgotten$"):
        await farm.order_book.forget("pi")
    farm.fleet.leave(board, "cut")
    was = await farm.order_book.forget("pi")
    assert (was.name, was.hand_labels, was.state) == ("pi", {"room": "cold"}, DeviceState.LOST)
    with pytest.raises(NotFound, match="no device 'pi'"):
        await farm.order_book.forget("pi")
    await farm.restart()
    assert [device.name for device in farm.fleet.devices()] == ["other"]
    farm.join("pi")
    again = farm.fleet.device("pi")
    assert (again.hand_labels, again.drain, again.measured) == ({}, None, 0)


async def test_a_device_that_joins_while_others_are_forgotten_stays(
    farm: OrdersFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        farm.fleet.leave(farm.join(name), "cut")
    farm.now += 3700.0
    forget = farm.fleet.forget

    async def slow(device_id: str) -> None:
        if "b" not in {board.device.name for board in farm.fleet.connected()}:
            farm.join("b")
        await forget(device_id)

    monkeypatch.setattr(farm.fleet, "forget", slow)
    assert [d.name for d in await farm.order_book.forget_lost(3600.0)] == ["a", "c"]
    assert [d.name for d in farm.fleet.devices()] == ["b"]


async def test_devices_that_were_lost_long_ago_are_forgotten_where_nothing_is_ordered_of_them(farm: OrdersFarm) -> None:
    boards = {name: farm.join(name) for name in ("there", "lost", "recent", "drained", "labelled", "leased")}
    await farm.order_book.drain("drained", "eve", "fan")
    await farm.order_book.label("labelled", {"room": "cold"}, [])
    await farm.order_book.lease("leased", "ada", 60.0)
    for name, board in boards.items():
        if name not in ("there", "recent"):
            farm.fleet.leave(board, "cut")
    farm.now += 3600.0
    farm.fleet.heard(boards["recent"])
    farm.fleet.leave(boards["recent"], "cut")
    farm.now += 10.0
    farm.fleet.tick()  # ends the lease
    assert sorted(d.name for d in await farm.order_book.forget_lost(3600.0)) == ["leased", "lost"]
    assert sorted(d.name for d in farm.fleet.devices()) == ["drained", "labelled", "recent", "there"]
