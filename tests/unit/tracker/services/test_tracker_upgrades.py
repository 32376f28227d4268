"""Upgrades as the tracker sees them: what may be ordered, when a board is told, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_wheels import METADATA, SMALL, small
from tests.support.orders_farm import OrdersFarm
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.version import __version__
from tvm_farm.tracker.domain import AgentCode, DeviceOrders, DeviceState, Upgrade
from tvm_farm.tracker.domain.device_orders import upgrade_ended
from tvm_farm.tracker.domain.errors import (
    InvalidRequest,
    NotFound,
    NotPossible,
    StoreFull,
    TrackerError,
    VersionMismatch,
)
from tvm_farm.tracker.measuring.board import Board
from tvm_farm.tracker.services.upgrades import Upgrades

CODE = AgentCode()


class UpgradeFarm(OrdersFarm):
    async def restart(self) -> None:
        await super().restart()
        self.service = Upgrades(self.fleet, self.order_book, self.artifacts, lambda: self.now)

    async def connect(self, name: str, code: AgentCode | None = CODE) -> Board:
        board = self.join(name, code=code)
        await self.service.joined(board)
        return board

    async def wheel(self, version: str = __version__, protocol: int = PROTOCOL_VERSION, **changes: str) -> str:
        """The digest of one that the tracker has."""
        texts = {
            "tvm_farm/protos/version.py": f'__version__ = "{version}"\n',
            "tvm_farm/protos/discovery.py": f"PROTOCOL_VERSION = {protocol}\n",
            "tvm_farm-0.2.0.dist-info/METADATA": METADATA.replace("Version: 0.2.0", f"Version: {version}"),
            **changes,
        }
        assert texts.keys() <= SMALL.keys()
        return await self.put(small(self.state / "w.whl", **texts).read_bytes())

    async def put(self, data: bytes) -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        return (await self.artifacts.put(chunks())).digest


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[UpgradeFarm]:
    farm = UpgradeFarm(tmp_path)
    await farm.restart()
    yield farm
    await farm.store.stop()


async def ordered(farm: UpgradeFarm, name: str = "pi") -> Upgrade:
    device = await farm.service.order(name, "ada", await farm.wheel())
    assert device.upgrade is not None
    return device.upgrade


async def test_a_board_that_is_there_is_told_at_once(farm: UpgradeFarm) -> None:
    await farm.connect("pi")
    upgrade = await ordered(farm)
    assert farm.upgrades["pi"] == [upgrade]
    assert (upgrade.version, upgrade.user, upgrade.since_unix_s) == (__version__, "ada", farm.now)
    assert upgrade.size == farm.artifacts.path(upgrade.digest).stat().st_size


async def test_how_far_it_is_is_shown(farm: UpgradeFarm) -> None:
    board = await farm.connect("pi")
    upgrade = await ordered(farm)
    await farm.service.told(board, Upgrade("another one", share=0.9))
    assert farm.fleet.device("pi").upgrade == upgrade
    await farm.service.told(board, Upgrade(upgrade.id, share=0.4))
    assert farm.fleet.device("pi").upgrade == replace(upgrade, share=0.4)
    await farm.service.told(board, Upgrade(upgrade.id, share=1.0, restarting=True))
    farm.fleet.leave(board, "it restarts")
    device = farm.fleet.device("pi")
    assert (device.state, device.upgrade) == (DeviceState.LOST, replace(upgrade, share=1.0, restarting=True))


async def test_one_that_joins_with_it_is_done(farm: UpgradeFarm) -> None:
    farm.fleet.leave(await farm.connect("pi"), "cut")
    upgrade = await ordered(farm)
    assert farm.upgrades["pi"] == []
    board = await farm.connect("pi")
    assert farm.upgrades["pi"] == [upgrade]
    farm.fleet.leave(board, "it restarts")
    await farm.connect("pi", AgentCode(upgrade.digest))
    assert farm.fleet.device("pi").upgrade is None
    assert farm.upgrades["pi"] == [upgrade]
    again = await farm.service.order("pi", "ada", upgrade.digest)
    assert again.upgrade is None


async def test_an_order_outlives_the_tracker_and_what_came_of_it_too(farm: UpgradeFarm) -> None:
    await farm.connect("pi")
    upgrade = await ordered(farm)
    await farm.restart()
    assert farm.fleet.device("pi").upgrade == upgrade
    await farm.connect("pi")
    assert farm.upgrades["pi"] == [upgrade, upgrade]
    await farm.restart()
    await farm.connect("pi", AgentCode(failed_upgrade=upgrade.id, failure="it crashed"))
    await farm.restart()
    assert farm.fleet.device("pi").upgrade == replace(upgrade, failure="it crashed")
    await farm.connect("pi", AgentCode(failed_upgrade=upgrade.id, failure="it crashed"))
    assert len(farm.upgrades["pi"]) == 2
    await farm.connect("pi", AgentCode(upgrade.digest))  # it runs after all
    assert farm.fleet.device("pi").upgrade is None


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (None, "its agent was replaced by one too old to be upgraded by the farm"),
        (AgentCode(refuses="it was told so"), "it was told so"),
        (AgentCode(failed_upgrade="this", failure="it crashed"), "it crashed"),
        (AgentCode(failed_upgrade="this"), "its agent does not say why"),
        (AgentCode("d" * 64, failed_upgrade="an earlier one", failure="it crashed"), ""),
    ],
)
async def test_what_a_board_that_joins_without_it_says(farm: UpgradeFarm, code: AgentCode | None, failure: str) -> None:
    farm.fleet.leave(await farm.connect("pi"), "cut")
    upgrade = await ordered(farm)
    if code and code.failed_upgrade == "this":
        code = replace(code, failed_upgrade=upgrade.id)
    await farm.connect("pi", code)
    assert farm.fleet.device("pi").upgrade == replace(upgrade, failure=failure)
    assert farm.upgrades["pi"] == ([] if failure else [upgrade])


async def test_a_board_that_cannot_do_it_says_so(farm: UpgradeFarm) -> None:
    board = await farm.connect("pi")
    upgrade = await ordered(farm)
    await farm.service.told(board, Upgrade(upgrade.id, share=0.5))
    await farm.service.told(board, Upgrade(upgrade.id, failure="its disk is full"))
    device = farm.fleet.device("pi")
    assert (device.state, device.upgrade) == (DeviceState.IDLE, replace(upgrade, failure="its disk is full"))
    await farm.service.order("pi", "ada", upgrade.digest)
    assert len({each.id for each in farm.upgrades["pi"]}) == 2


@pytest.mark.parametrize("share", [math.nan, math.inf, -0.1, 1.1])
async def test_what_a_board_makes_up_is_not_shown(farm: UpgradeFarm, share: float) -> None:
    board = await farm.connect("pi")
    upgrade = await ordered(farm)
    await farm.service.told(board, Upgrade(upgrade.id, share=share))
    assert farm.fleet.device("pi").upgrade == upgrade
    await farm.service.told(board, Upgrade(upgrade.id, failure="no\x1b[2J\nroom" + "!" * 10**6))
    told = farm.fleet.device("pi").upgrade
    assert told is not None
    assert told.failure.startswith("no [2J room!")
    assert len(told.failure) == 400


async def test_an_order_is_taken_back(farm: UpgradeFarm) -> None:
    await farm.connect("pi")
    upgrade = await ordered(farm)
    assert (await farm.service.cancel("pi")).upgrade is None
    assert farm.upgrades["pi"] == [upgrade, Upgrade()]
    await farm.restart()
    await farm.connect("pi")
    assert farm.upgrades["pi"] == [upgrade, Upgrade()]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            None,
            r"^the agent of device pi, version unknown, is too old to be upgraded by the farm: upgrade it there, with",
        ),
        (
            AgentCode(refuses="its agent was started with --no-upgrade"),
            "device pi takes no upgrade: its agent was started with",
        ),
    ],
)
async def test_boards_that_take_none(farm: UpgradeFarm, code: AgentCode | None, said: str) -> None:
    await farm.connect("pi", code)
    with pytest.raises(NotPossible, match=said):
        await ordered(farm)
    assert farm.upgrades["pi"] == []


@pytest.mark.parametrize(
    ("wheel", "error", "said"),
    [
        (
            {"protocol": PROTOCOL_VERSION + 1},
            VersionMismatch,
            f"^the agent in that wheel speaks protocol version {PROTOCOL_VERSION + 1}, this tracker .*: upgrade the",
        ),
        ({"version": "9.0.0"}, VersionMismatch, "release 9.0.0 and this tracker of .*: upgrade the tracker"),
        ({"tvm_farm/agent/cli.py": None}, InvalidRequest, "cannot be sent to boards: it has no tvm_farm/agent/cli.py"),
    ],
)
async def test_wheels_that_are_refused(
    farm: UpgradeFarm, wheel: dict[str, Any], error: type[TrackerError], said: str
) -> None:
    await farm.connect("pi")
    with pytest.raises(error, match=said):
        await farm.service.order("pi", "ada", await farm.wheel(**wheel))
    assert (farm.upgrades["pi"], farm.fleet.device("pi").upgrade) == ([], None)


async def test_what_is_no_wheel_or_nowhere(farm: UpgradeFarm) -> None:
    await farm.connect("pi")
    with pytest.raises(NotFound, match="no artifact dddd"):
        await farm.service.order("pi", "ada", "d" * 64)
    with pytest.raises(InvalidRequest, match="it is no wheel"):
        await farm.service.order("pi", "ada", await farm.put(b"no zip"))
    with pytest.raises(NotFound, match="there is no device 'po'"):
        await ordered(farm, "po")


async def test_a_full_disk_turns_no_board_away(farm: UpgradeFarm, monkeypatch: pytest.MonkeyPatch) -> None:
    farm.fleet.leave(await farm.connect("pi"), "cut")
    upgrade = await ordered(farm)

    async def full(*_: object) -> None:
        raise StoreFull("the disk is full")

    monkeypatch.setattr(farm.fleet, "put_orders", full)
    board = await farm.connect("pi", AgentCode(upgrade.digest))
    assert board.connected
    monkeypatch.undo()
    await farm.service.joined(board)
    assert farm.fleet.device("pi").upgrade is None


def test_an_end_is_of_one_order() -> None:
    orders = DeviceOrders(labels={"rack": "3"}, upgrade=Upgrade("u2", "0.2.0"))
    assert upgrade_ended(orders, "u1", "it crashed") == orders
    assert upgrade_ended(orders, "u2") == DeviceOrders(labels={"rack": "3"})
    assert upgrade_ended(orders, "u2", "it crashed").upgrade == Upgrade("u2", "0.2.0", failure="it crashed")
    assert upgrade_ended(DeviceOrders(), "u2") == DeviceOrders()
    assert str(orders) == "upgrade to 0.2.0 by someone, rack=3"
