"""Boards that join, fall silent and come back, by a clock of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.fleet_farm import BOARD, FleetFarm
from tests.support.records import make_job, make_record
from tvm_farm.protos.device import CpuCluster, Fingerprint, Machine, RunnerInfo, RunnerMode, Telemetry
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.tracker.domain import DeviceState, Pool
from tvm_farm.tracker.domain.device_class import former_class
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound, TrackerError, VersionMismatch


@pytest.fixture
async def farm() -> AsyncIterator[FleetFarm]:
    farm = FleetFarm()
    await farm.restart()
    yield farm
    await farm.thread.stop()


async def test_three_missed_heartbeats_lose_a_board(farm: FleetFarm) -> None:
    farm.join(device_id="d1", name="silent")
    talking = farm.join(device_id="d2", name="talking")
    for _ in range(3):
        farm.now += 5.0
        farm.fleet.heard(talking, Telemetry(farm.now, 50.0))
        farm.fleet.tick()
    assert farm.states() == {"silent": DeviceState.IDLE, "talking": DeviceState.IDLE}
    farm.now += 0.1
    farm.fleet.tick()
    assert farm.states() == {"silent": DeviceState.LOST, "talking": DeviceState.IDLE}
    assert farm.listener.events[-1] == ("left", "silent")
    assert farm.ended == ["d1"]


async def test_setting_the_clock_loses_no_board_and_keeps_none(farm: FleetFarm) -> None:
    farm.join()
    farm.wall += 3600.0
    farm.fleet.tick()
    assert farm.states() == {"pi": DeviceState.IDLE}
    farm.now += 15.1
    farm.wall -= 7200.0
    farm.fleet.tick()
    assert farm.states() == {"pi": DeviceState.LOST}


async def test_a_lost_board_is_told_once(farm: FleetFarm) -> None:
    board = farm.join()
    farm.fleet.leave(board, "cut")
    farm.fleet.leave(board, "cut again")
    assert farm.listener.events == [("joined", "pi"), ("left", "pi")]


async def test_a_board_whose_agent_said_goodbye_is_stopped_and_not_only_lost(farm: FleetFarm) -> None:
    def told() -> list[tuple[DeviceState, bool]]:
        return [(device.state, device.stopped) for device in farm.fleet.devices()]

    board = farm.join()
    farm.fleet.drain(board)
    assert told() == [(DeviceState.DRAINING, False)]
    farm.fleet.leave(board, "its stream ended")
    assert told() == [(DeviceState.LOST, True)]
    await farm.restart()
    assert told() == [(DeviceState.LOST, True)]
    board = farm.join()
    assert told() == [(DeviceState.IDLE, False)]
    farm.fleet.leave(board, "cut")
    assert told() == [(DeviceState.LOST, False)]


async def test_the_store_remembers_devices(farm: FleetFarm) -> None:
    board = farm.join(telemetry=Telemetry(1.0, 61.0))
    board.measured = 7
    farm.fleet.leave(board, "cut")
    fleet = await farm.restart()
    (device,) = fleet.devices()
    assert (device.name, device.state, device.measured) == ("pi", DeviceState.LOST, 7)
    assert device.telemetry == Telemetry(1.0, 61.0)
    assert device.pools == ("arm64",)
    assert farm.join().measured == 7


def _kryo(name: str) -> Fingerprint:
    return replace(BOARD, board_model="Phone", clusters=(CpuCluster((2, 3), "0x51", "0x205", name),))


async def test_the_log_of_a_release_that_named_classes_otherwise_goes_on(farm: FleetFarm) -> None:
    runner = RunnerInfo(RunnerMode.FULL, threads=2)
    board = farm.join(fingerprint=_kryo("Kryo"), runner=runner)
    now, before = board.device.device_class, former_class(_kryo("Kryo"), runner)
    assert (before, now) == ("phone-2xkryo-full-2t", "phone-2xkryo-0x205-full-2t")
    farm.fleet.leave(board, "cut")
    await asyncio.sleep(0)  # the fleet writes
    store = farm.thread.store
    old = replace(farm.fleet.device("d1"), device_class=before, labels={"device_class": before})
    await farm.thread.run(store.devices.put, old)
    await farm.thread.run(store.records.add, [make_record("t1", device_class=before, device_id="d1")])
    await farm.thread.run(store.jobs.add, make_job(device_class=before), "")
    await farm.thread.run(store.pools.put, Pool("phones", {"device_class": before}))
    fleet = await farm.restart()
    assert await farm.thread.run(store.records.classes) == [now]
    assert [job.device_class for job in await farm.thread.run(store.jobs.newest)] == [now]
    [lost] = fleet.devices()
    assert (lost.device_class, lost.labels["device_class"]) == (now, now)
    assert fleet.pool("phones").devices == ("pi",)
    assert fleet.class_named(before) == fleet.class_named(now) == now
    assert fleet.class_named("of nobody") == "of nobody"


async def test_a_board_whose_agent_learns_the_name_of_its_cores_keeps_its_log(farm: FleetFarm) -> None:
    nameless = "Qualcomm part 0x205"
    old = farm.join(fingerprint=_kryo(nameless)).device.device_class
    store = farm.thread.store
    for trial, device in (("t1", "d1"), ("t2", "another")):
        record = make_record(trial, device_class=old, device_id=device)
        await farm.thread.run(store.records.add, [record])
    new = farm.join(fingerprint=_kryo("Kryo")).device.device_class
    await asyncio.sleep(0)
    assert new != old
    assert await farm.thread.run(store.records.classes) == sorted([old, new])
    # Another governor is another class, whose timings are others.
    farm.join(fingerprint=replace(_kryo("Kryo"), clusters=(replace(_kryo("Kryo").clusters[0], governor="x"),)))
    await asyncio.sleep(0)
    assert await farm.thread.run(store.records.classes) == sorted([old, new])


async def test_names_are_unique(farm: FleetFarm) -> None:
    assert farm.join(device_id="d1").device.name == "pi"
    assert farm.join(device_id="d2").device.name == "pi-2"
    assert farm.join(device_id="d3").device.name == "pi-3"
    # Each keeps its own when it comes back, also after a restart.
    await farm.thread.run(farm.thread.store.devices.all)
    await farm.restart()
    assert farm.join(device_id="d3").device.name == "pi-3"
    assert farm.join(device_id="d1").device.name == "pi"
    assert farm.join(device_id="d1", name="other").device.name == "other"
    assert farm.join(device_id="d4", name="pi").device.name == "pi"


async def test_the_same_device_replaces_its_old_stream(farm: FleetFarm) -> None:
    farm.join()
    farm.join()
    assert farm.ended == ["d1"]
    assert farm.listener.events == [("joined", "pi"), ("left", "pi"), ("joined", "pi")]
    assert farm.states() == {"pi": DeviceState.IDLE}


async def test_draining(farm: FleetFarm) -> None:
    board = farm.join()
    farm.fleet.drain(board)
    farm.fleet.drain(board)
    assert farm.states() == {"pi": DeviceState.DRAINING}
    assert farm.listener.events == [("joined", "pi"), ("stopped", "pi")]
    assert not board.takes_work


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"protocol_version": PROTOCOL_VERSION + 1}, VersionMismatch, "upgrade the tracker"),
        ({"protocol_version": 0}, VersionMismatch, "upgrade the agent"),
        ({"fingerprint": replace(BOARD, agent_version="9.0.0")}, VersionMismatch, "upgrade the tracker"),
        ({"runner": RunnerInfo(RunnerMode.FULL, 1, "0.26.0")}, VersionMismatch, "the agent on pi has TVM 0.26.0"),
        ({"device_id": ""}, InvalidRequest, "no device id"),
        ({"labels": {"arch": "x86_64"}}, InvalidRequest, "label 'arch' is set by the tracker"),
        ({"fingerprint": replace(BOARD, arch="s390x")}, InvalidRequest, "no target is known for architecture 's390x'"),
    ],
)
async def test_refusals(farm: FleetFarm, changes: dict[str, Any], error: type[TrackerError], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        farm.join(**changes)
    assert farm.fleet.devices() == []


async def test_labels(farm: FleetFarm) -> None:
    device = farm.join(labels={"rack": "2"}).device
    assert device.labels == {
        "rack": "2",
        "arch": "aarch64",
        "board": "pi-4",
        "hostname": "pi",
        "name": "pi",
        "runner": "full",
        "device_class": device.device_class,
    }


async def test_pools_by_selector(farm: FleetFarm) -> None:
    board = farm.join(labels={"rack": "2"})
    farm.join(device_id="d2", labels={"rack": "3"})
    pool = await farm.fleet.put_pool("lab", {"rack": "2"})
    assert (pool.devices, pool.connected) == (("pi",), 1)
    assert board.device.pools == ("arm64", "lab")
    assert [d.name for d in farm.fleet.devices("lab")] == ["pi"]
    fleet = await farm.restart()
    assert fleet.pool("lab").selector == {"rack": "2"}
    await fleet.delete_pool("lab")
    with pytest.raises(NotFound, match="no pool 'lab': this farm has arm64, armv7, riscv64, synthetic, x86_64"):
        fleet.pool("lab")


@pytest.mark.parametrize(
    ("name", "selector", "sentence"),
    [
        ("arm64", {"a": "b"}, "built in"),
        ("no spaces", {"a": "b"}, "cannot name a pool"),
        ("", {"a": "b"}, "cannot name a pool"),
        ("lab", {}, "needs a selector"),
    ],
)
async def test_pools_that_cannot_be(farm: FleetFarm, name: str, selector: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        await farm.fleet.put_pool(name, selector)


async def test_built_in_pools_stay(farm: FleetFarm) -> None:
    with pytest.raises(InvalidRequest, match="built in"):
        await farm.fleet.delete_pool("arm64")


async def test_agents_on_the_same_cpus_are_told_of_each_other(farm: FleetFarm) -> None:
    here = Machine("start-1", "boot-1", via="")
    one = farm.join(device_id="d1", name="one", machine=here)
    assert farm.fleet.warning(one) == ""
    two = farm.join(device_id="d2", name="two", machine=replace(here, start_id="start-2"))
    farm.join(device_id="d3", name="router", machine=replace(here, start_id="start-3", via="ssh:router"))
    assert "this machine's CPUs, as one: they disturb each other" in farm.fleet.warning(two)
    shared = {device.name: device.shares_cpus_with for device in farm.fleet.devices()}
    assert shared == {"one": ("two",), "two": ("one",), "router": ()}
    third = farm.join(device_id="d4", name="third", machine=replace(here, start_id="start-4"))
    assert farm.fleet.warning(third).startswith("other agents measure on this machine's CPUs, as one and two: ")
    farm.fleet.leave(third, "cut")
    farm.fleet.leave(one, "cut")
    assert farm.fleet.warning(two) == ""
    assert all(device.shares_cpus_with == () for device in farm.fleet.devices())


async def test_a_board_of_an_odd_name_gets_the_nearest_and_one_that_had_it_keeps_it(farm: FleetFarm) -> None:
    assert farm.join(device_id="d1", name="my pi\x1b").device.name == "my-pi"
    old = farm.join(device_id="d2", name="pi")
    await farm.restart()  # by then both are stored
    await farm.thread.run(farm.thread.store.devices.put, replace(old.device, name="root@pi 2"))
    await farm.restart()
    assert [device.name for device in farm.fleet.devices()] == ["my-pi", "root@pi 2"]
    assert farm.join(device_id="d2", name="root@pi 2").device.name == "root@pi 2"


async def test_a_pool_of_an_odd_name_may_still_be_changed(farm: FleetFarm) -> None:
    with pytest.raises(InvalidRequest, match="'my pool' cannot name a pool"):
        await farm.fleet.put_pool("my pool", {"rack": "3"})
    await farm.thread.run(farm.thread.store.pools.put, Pool("my pool", {"rack": "3"}))
    await farm.restart()
    assert (await farm.fleet.put_pool("my pool", {"rack": "4"})).selector == {"rack": "4"}
