"""Boards that say they are one device: what is a clone, and what only a board that starts again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.support.fleet_farm import FleetFarm
from tvm_farm.protos.device import Fingerprint, Machine, RunnerInfo, RunnerMode
from tvm_farm.tracker.domain import Device, DeviceState
from tvm_farm.tracker.domain.errors import InvalidRequest, NotPossible
from tvm_farm.tracker.domain.machine import is_same_machine
from tvm_farm.tracker.measuring.board import Board

PI = Machine("start-1", "boot-1", "10000000aaaaaaaa", ("b8:27:eb:aa:aa:aa",))
OTHER = Machine("start-2", "boot-2", "10000000bbbbbbbb", ("b8:27:eb:bb:bb:bb",))
#: Of an emulator, or a maker who gives each board the same.
NAMELESS = replace(PI, serial="", macs=())
LATER_S = 15.0


@pytest.fixture
async def farm() -> AsyncIterator[FleetFarm]:
    farm = FleetFarm()
    await farm.restart()
    yield farm
    await farm.thread.stop()


def beat(farm: FleetFarm, board: Board, seconds: float = LATER_S) -> None:
    """The board is heard every 5 s for so long."""
    for _ in range(int(seconds // 5)):
        farm.now += 5.0
        farm.fleet.heard(board)
        farm.fleet.tick()


def silence(farm: FleetFarm, seconds: float = LATER_S + 1) -> None:
    farm.now += seconds
    farm.fleet.tick()


def the_device(farm: FleetFarm) -> Device:
    [device] = farm.fleet.devices()
    return device


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (PI, replace(PI, start_id="start-9"), True),
        (PI, replace(PI, boot_id="boot-9"), True),
        (PI, replace(PI, boot_id="boot-9", macs=("00:e0:4c:00:00:01",)), True),
        (PI, replace(PI, boot_id="boot-9", serial="10000000cccccccc"), False),
        (PI, replace(PI, boot_id="boot-9", serial=""), True),
        (PI, replace(PI, boot_id="boot-9", serial="", macs=("00:e0:4c:00:00:01",)), False),
        (PI, replace(PI, serial="", macs=()), True),
        (PI, OTHER, False),
        (PI, Machine(), False),
        (Machine(), Machine(), False),
    ],
)
def test_what_is_known_of_both_decides(one: Machine, other: Machine, same: bool) -> None:
    assert is_same_machine(one, other) is same
    assert is_same_machine(other, one) is same


@pytest.mark.parametrize(
    "again",
    [
        PI,  # the network was away
        replace(PI, start_id="start-9"),  # the agent crashed
        replace(PI, start_id="start-9", boot_id="boot-9"),  # a reboot
        replace(PI, start_id="start-9", boot_id="boot-9", macs=("00:e0:4c:00:00:01",)),  # and another USB adapter
        replace(PI, macs=("00:e0:4c:00:00:01",)),  # that without a reboot
    ],
)
async def test_the_same_board_takes_its_place_at_once(farm: FleetFarm, again: Machine) -> None:
    farm.join(machine=PI)
    farm.join(machine=again, name="renamed", fingerprint=Fingerprint("aarch64", "Pi 4", "renamed"))
    assert farm.ended == ["d1"]
    assert farm.states() == {"renamed": DeviceState.IDLE}
    assert the_device(farm).clone is None


async def test_a_clone_is_told_once_both_were_heard(farm: FleetFarm) -> None:
    board = farm.join(machine=PI)
    with pytest.raises(NotPossible, match=r"in use by pi \(serial 10000000aaaaaaaa, .* if that is another machine"):
        farm.join(machine=OTHER)
    assert the_device(farm).clone is None
    beat(farm, board)
    with pytest.raises(NotPossible, match=r"belongs to another machine, pi .* is its clone: run `agent new-identity`"):
        farm.join(machine=OTHER)
    assert farm.ended == []
    clone = the_device(farm).clone
    assert clone is not None
    assert (clone.machine, clone.seen_unix_s) == (OTHER, farm.wall + farm.now)


async def test_a_board_that_tells_nothing_of_its_hardware_waits_for_its_old_stream_to_end(farm: FleetFarm) -> None:
    farm.join(machine=NAMELESS)
    rebooted = replace(NAMELESS, start_id="start-9", boot_id="boot-9")
    with pytest.raises(NotPossible, match="in use by pi"):
        farm.join(machine=rebooted)
    silence(farm)
    farm.join(machine=rebooted)
    assert the_device(farm).clone is None


async def test_last_words_that_are_read_late_prove_nothing(farm: FleetFarm) -> None:
    """The tracker stood still, and reads at once what the board said before it lost its power, and its new join."""
    board = farm.join(machine=NAMELESS)
    rebooted = replace(NAMELESS, start_id="start-9", boot_id="boot-9")
    for _ in range(2):
        with pytest.raises(NotPossible, match="in use by"):
            farm.join(machine=rebooted)
        farm.now += 0.5
        farm.fleet.heard(board)
    silence(farm)
    assert farm.join(machine=rebooted).device.clone is None


async def test_a_card_that_moved_to_another_board_is_no_clone(farm: FleetFarm) -> None:
    farm.join(machine=PI)
    with pytest.raises(NotPossible):
        farm.join(machine=OTHER)
    silence(farm)
    assert farm.join(machine=OTHER).device.clone is None


@pytest.mark.parametrize("other", [replace(PI, start_id="start-2"), replace(PI, start_id="start-2", boot_id="boot-2")])
async def test_boards_that_nothing_tells_apart_are_found_out_when_the_first_returns(
    farm: FleetFarm, other: Machine
) -> None:
    """A folder that was copied on one machine; boards of one serial and one MAC."""
    farm.join(machine=PI)
    second = farm.join(machine=other)
    with pytest.raises(NotPossible, match="in use by"):
        farm.join(machine=PI)
    beat(farm, second)
    with pytest.raises(NotPossible, match="is its clone"):
        farm.join(machine=PI)
    assert the_device(farm).machine == other


async def test_a_clone_stays_out_while_the_device_is_away_and_after_a_restart(farm: FleetFarm) -> None:
    board = farm.join(machine=PI)
    for _ in range(2):
        with pytest.raises(NotPossible):
            farm.join(machine=OTHER)
        beat(farm, board)
    silence(farm)
    await farm.restart()
    again = replace(OTHER, start_id="start-3", boot_id="boot-3")
    with pytest.raises(NotPossible, match="is its clone"):
        farm.join(machine=again)
    assert farm.states() == {"pi": DeviceState.LOST}
    farm.join(machine=replace(PI, start_id="start-4", boot_id="boot-4"))
    assert farm.states() == {"pi": DeviceState.IDLE}


async def test_an_identity_of_its_own_ends_it(farm: FleetFarm) -> None:
    board = farm.join(machine=PI)
    for _ in range(2):
        with pytest.raises(NotPossible):
            farm.join(machine=OTHER)
        beat(farm, board)
    farm.join(device_id="d2", machine=OTHER)
    assert [(device.name, device.clone) for device in farm.fleet.devices()] == [("pi", None), ("pi-2", None)]
    fleet = await farm.restart()
    assert [device.clone for device in fleet.devices()] == [None, None]


async def test_agents_older_than_that_are_told_apart_by_their_hosts(farm: FleetFarm) -> None:
    farm.join()
    farm.join()
    assert farm.ended == ["d1"]
    for machine in (None, OTHER):
        with pytest.raises(NotPossible, match="in use by pi"):
            farm.join(machine=machine, fingerprint=Fingerprint("aarch64", "Pi 4", "clone"))


async def test_refused_joins_leave_the_device_as_it_was(farm: FleetFarm) -> None:
    board = farm.join(machine=PI)
    board.measured = 7
    for _ in range(3):
        with pytest.raises(NotPossible):
            farm.join(machine=OTHER, name="clone", runner=RunnerInfo(RunnerMode.MICRO), labels={"rack": "9"})
        beat(farm, board)
    device = the_device(farm)
    assert (device.name, device.measured, device.runner.mode) == ("pi", 7, RunnerMode.FULL)
    assert "rack" not in device.labels


@pytest.mark.parametrize(
    "machine", [replace(PI, serial="x" * 81), replace(PI, boot_id="a\nb"), replace(PI, macs=("m",) * 33)]
)
async def test_what_is_no_machine_is_refused(farm: FleetFarm, machine: Machine) -> None:
    with pytest.raises(InvalidRequest, match="tells of no machine"):
        farm.join(machine=machine)
    assert farm.fleet.devices() == []
