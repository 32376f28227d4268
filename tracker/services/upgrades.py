"""The agents' upgrades: which wheel a device is to run, until it runs it or says why not."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from tvm_farm.protos.version import __version__
from tvm_farm.protos.wheel import AgentWheel, read_agent_wheel
from tvm_farm.tracker.domain import Device, Upgrade
from tvm_farm.tracker.domain.compatibility import check_protocol, check_release
from tvm_farm.tracker.domain.errors import InvalidRequest, NotPossible, StoreFull
from tvm_farm.tracker.measuring.board import Board
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.device_orders import OrderBook
from tvm_farm.tracker.services.fleet import Fleet

__all__ = ["Upgrades"]

log = logging.getLogger(__name__)

#: Of a board's reason why an upgrade failed, in characters.
_LONGEST = 400


class Upgrades:
    """Used in the event loop alone. An order is kept with the others of its device, and sent whenever that joins."""

    def __init__(
        self, fleet: Fleet, order_book: OrderBook, artifacts: ArtifactStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._fleet = fleet
        self._order_book = order_book
        self._artifacts = artifacts
        self._clock = clock
        #: Wheels that were found sound, by digest, with their size in bytes.
        self._wheels: dict[str, tuple[AgentWheel, int]] = {}

    async def order(self, device: str, user: str, digest: str) -> Device:
        """The device is to run the wheel that is the artifact ``digest``. Returns it: with the order, or without one
        where it runs that already.

        Raises NotFound for an unknown device or artifact, InvalidRequest for what is no wheel of an agent,
        VersionMismatch for one that this tracker could not work with, NotPossible for a device that takes none.
        """
        found = self._fleet.device(device)
        wheel, size = await self._wheel(digest)
        check_protocol(wheel.protocol_version, "agent in that wheel")
        check_release(wheel.version, __version__)
        if found.code is None:
            version = found.fingerprint.agent_version or "unknown"
            raise NotPossible(
                f"the agent of device {found.name}, version {version}, is too old to be upgraded by the farm: upgrade "
                "it there, with pip"
            )
        if found.code.refuses:
            raise NotPossible(f"device {found.name} takes no upgrade: {found.code.refuses}")
        if found.code.digest == digest:
            return await self.cancel(found.id)
        upgrade = Upgrade(uuid.uuid4().hex, wheel.version, digest, size, user, self._clock())
        ordered = await self._order_book.upgrade(found.id, upgrade)
        self._send(found.id, upgrade)
        return ordered

    async def cancel(self, device: str) -> Device:
        """Take back what is ordered; what is on its way ends. Raises NotFound."""
        after = await self._order_book.upgrade(device, None)
        self._send(after.id, Upgrade())
        return after

    def _send(self, device_id: str, upgrade: Upgrade) -> None:
        try:
            board = self._fleet.board(device_id)
        except KeyError:
            return  # it is told when it joins
        if board.device.code is not None:
            board.send(upgrade)

    async def joined(self, board: Board) -> None:
        """A board connects and was told that it joined: it is told its order, or tells what came of it."""
        upgrade, code = self._fleet.orders_of(board.id).upgrade, board.device.code
        if upgrade is None:
            return
        if code is not None and code.digest == upgrade.digest:
            await self._end(board, upgrade)
        elif upgrade.failure:
            return
        elif code is None:
            await self._end(board, upgrade, "its agent was replaced by one too old to be upgraded by the farm")
        elif code.failed_upgrade == upgrade.id:
            await self._end(board, upgrade, code.failure or "its agent does not say why")
        elif code.refuses:
            await self._end(board, upgrade, code.refuses)
        else:
            board.send(upgrade)

    async def told(self, board: Board, upgrade: Upgrade) -> None:
        """A board says how far it is. What it says of an order that is none any more is nothing."""
        ordered = self._fleet.orders_of(board.id).upgrade
        if ordered is None or ordered.id != upgrade.id:
            return
        share = upgrade.share if upgrade.share is not None and 0 <= upgrade.share <= 1 else None
        board.upgrading = replace(ordered, share=share, restarting=upgrade.restarting)
        if upgrade.failure:
            await self._end(board, ordered, upgrade.failure)

    async def _end(self, board: Board, upgrade: Upgrade, failure: str = "") -> None:
        # A board's words: they are kept, and shown in a line.
        clause = "".join(sign if sign.isprintable() else " " for sign in failure[:_LONGEST])
        try:
            await self._order_book.upgrade_ended(board.id, upgrade.id, clause)
        except StoreFull as error:
            # The next join tells it again; for want of it no board is turned away.
            log.warning(
                "what came of the upgrade of %s could not be kept: %s",
                board.device.name,
                error,
                extra={"device": board.device.name},
            )

    async def _wheel(self, digest: str) -> tuple[AgentWheel, int]:
        if digest not in self._wheels:
            path = self._artifacts.path(digest)
            try:
                wheel = await asyncio.to_thread(read_agent_wheel, path)
                self._wheels[digest] = wheel, path.stat().st_size
            except ValueError as error:
                raise InvalidRequest(f"the wheel {digest[:12]} cannot be sent to boards: {error}") from None
        return self._wheels[digest]
