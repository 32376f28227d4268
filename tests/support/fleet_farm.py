"""The tracker's fleet without a wire: a store in memory, a clock of the test's, a listener that writes down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.tracker.domain import DeviceState, Join
from tvm_farm.tracker.measuring.board import Board
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.store import open_store

__all__ = ["BOARD", "JOIN", "FleetFarm"]

BOARD = Fingerprint(arch="aarch64", board_model="Pi 4", hostname="pi")
JOIN = Join(PROTOCOL_VERSION, "d1", "pi", BOARD, RunnerInfo(RunnerMode.FULL, threads=4), slots=2)


@dataclass
class _Listener:
    events: list[tuple[str, str]] = field(default_factory=list)

    def joined(self, board: Board) -> None:
        self.events.append(("joined", board.device.name))

    def left(self, board: Board) -> None:
        self.events.append(("left", board.device.name))

    def felt(self, board: Board) -> None:
        pass

    def stopped(self, board: Board) -> None:
        self.events.append(("stopped", board.device.name))


class FleetFarm:
    """A fleet on a store in memory; ``restart`` makes another on the same store."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 1e9
        self.thread = StoreThread(open_store("memory:"), asyncio.get_running_loop())
        self.ended: list[str] = []

    async def restart(self) -> Fleet:
        self.listener = _Listener()
        self.fleet = Fleet(self.thread, 5.0, lambda: self.wall + self.now, lambda: self.now)
        await self.fleet.load(self.listener)
        return self.fleet

    def join(self, **changes: Any) -> Board:
        join = replace(JOIN, **changes)
        board = self.fleet.join(join, lambda order: self.ended.append(join.device_id) if order is None else None)
        self.fleet.ready(board)
        return board

    def states(self) -> dict[str, DeviceState]:
        return {device.name: device.state for device in self.fleet.devices()}
