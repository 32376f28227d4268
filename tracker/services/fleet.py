"""The boards of the farm: who joined, who is heard, which pools they are in."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace

from tvm_farm.tracker.domain import Clone, Device, DeviceOrders, Join, Machine, Pool, Telemetry
from tvm_farm.tracker.domain.errors import NotPossible
from tvm_farm.tracker.domain.join_rules import check_join
from tvm_farm.tracker.domain.machine import is_same_machine, sharing_cpus
from tvm_farm.tracker.measuring.board import Board, BoardListener, Order
from tvm_farm.tracker.services.identities import Claim, Identities, refusal
from tvm_farm.tracker.services.known_devices import KnownDevices
from tvm_farm.tracker.services.pools import Pools
from tvm_farm.tracker.services.store_thread import StoreThread

__all__ = ["HEARTBEAT_S", "Fleet"]

log = logging.getLogger(__name__)

HEARTBEAT_S = 5.0
#: A board that misses this many heartbeats is lost.
_MISSED = 3
#: A connected board's telemetry and counters reach the store this often.
_STORE_S = 30.0
_LEAST_FREE_S = 1.0


class Fleet:
    """Every device that joined and was not forgotten: its stream while it is connected, else what is known of it.
    Used in the event loop alone.

    ``clock`` gives unix seconds, which are shown; by ``monotonic``, which no one sets, boards are judged silent.
    """

    def __init__(
        self,
        store: StoreThread,
        heartbeat_s: float = HEARTBEAT_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._heartbeat_s = heartbeat_s
        self._clock = clock
        self._monotonic = monotonic
        self._boards: dict[str, Board] = {}
        self._pools = Pools(store)
        self._known = KnownDevices(store, self._pools)
        self._identities = Identities()
        self._listener: BoardListener | None = None
        self._least_free: float | None = None
        self._least_free_until = 0.0

    async def load(self, listener: BoardListener) -> None:
        """Take up what the store holds; every device is lost until it joins again."""
        self._listener = listener
        await self._known.load()
        self._end_leases()

    @property
    def heartbeat_s(self) -> float:
        return self._heartbeat_s

    def join(self, join: Join, send: Callable[[Order | None], None]) -> Board:
        """A board connects. ``send`` carries orders to it, None ends its stream.

        A device that is connected already is replaced. Raises VersionMismatch or InvalidRequest, one sentence that
        says what to change.
        """
        check_join(join)
        before = self._boards.get(join.device_id)
        self._check_identity(join, before)
        if before is not None:
            self.leave(before, "its agent connected again")
            before.send(None)
        now = self._clock()
        if join.device_id not in self._known:
            self._end_clones(join)
        device = self._known.joined(join, now)
        board = Board(device, max(1, join.slots), send, now, self._monotonic(), join.short_slots)
        self._boards[device.id] = board
        self._least_free = None
        log.info(
            "%s joined: class %s, pools %s",
            device.name,
            device.device_class,
            ", ".join(device.pools),
            extra={"device": device.name},
        )
        if others := self._sharing().get(device.id):
            log.warning(
                "%s measures on the same CPUs as %s: they disturb each other", device.name, " and ".join(others)
            )
        self._keep(board)
        return board

    def ready(self, board: Board) -> None:
        """The board was told that it joined: work may come."""
        if board.connected and self._listener:
            self._listener.joined(board)

    def _check_identity(self, join: Join, board: Board | None) -> None:
        """Raises NotPossible where another machine is this device already."""
        known = self._known.get(join.device_id)
        claim = self._identities.judge(join, known, board, self._monotonic())
        if known is None or claim is Claim.HOLDS:
            return
        if claim is Claim.CLONE:
            first = known.clone is None
            self._put_clone(known.id, Clone(join.machine or Machine(), join.fingerprint.hostname, self._clock()))
            if first:
                log.warning("%s has a clone: %s", known.name, refusal(claim, join, known))
        raise NotPossible(refusal(claim, join, known))

    def _end_clones(self, join: Join) -> None:
        """A machine that joins as a new device is no other one's clone any more."""
        for device in self._known:
            if device.clone and join.machine and is_same_machine(device.clone.machine, join.machine):
                log.info("%s has no clone any more", device.name)
                self._put_clone(device.id, None)

    def _put_clone(self, device_id: str, clone: Clone | None) -> None:
        self._known.put(replace(self._known[device_id], clone=clone))
        if (board := self._boards.get(device_id)) is not None:
            board.device = replace(board.device, clone=clone)
        self._known.keep(self._known[device_id] if board is None else board.snapshot(self._clock()))

    def class_named(self, name: str) -> str:
        """The class that ``name`` means, which may be what a farm called it before: in scripts and packages of then."""
        return self._known.class_named(name)

    def heard(self, board: Board, telemetry: Telemetry | None = None) -> None:
        board.heard_at, board.silent_since = self._clock(), self._monotonic()
        if telemetry is not None:
            took_work = board.takes_work
            board.feels(telemetry)
            if took_work != board.takes_work:
                self._takes_work_changed(board)
            if board.free_bytes is not None and self._least_free is not None:
                self._least_free = min(self._least_free, board.free_bytes)
            if self._listener and board.connected:
                self._listener.felt(board)

    def _takes_work_changed(self, board: Board) -> None:
        log.info(
            "%s: %s",
            board.device.name,
            board.disk_fault or "its disk takes files again",
            extra={"device": board.device.name},
        )
        if self._listener:
            if board.takes_work:
                self._listener.joined(board)
            else:
                self._listener.stopped(board)

    @property
    def least_free_bytes(self) -> float:
        """No connected board that tells has less memory free; infinite where none tells.

        It may be less than what the one with least has, for a second: it is asked for with every trial.
        """
        now = self._monotonic()
        if self._least_free is None or now >= self._least_free_until:
            told = [board.free_bytes for board in self._boards.values() if board.free_bytes is not None]
            self._least_free, self._least_free_until = min(told, default=math.inf), now + _LEAST_FREE_S
        return self._least_free

    def drain(self, board: Board) -> None:
        """The board takes no new work from now on."""
        if not board.draining:
            board.draining = True
            log.info("%s drains", board.device.name, extra={"device": board.device.name})
            if self._listener:
                self._listener.stopped(board)

    def leave(self, board: Board, reason: str) -> None:
        """The board's stream ended or it was not heard; calling it again changes nothing."""
        if not board.connected:
            return
        board.connected = False
        if self._boards.get(board.id) is board:
            del self._boards[board.id]
            self._least_free = None
        log.info("%s lost: %s", board.device.name, reason, extra={"device": board.device.name})
        if self._listener:
            self._listener.left(board)
        self._known.put(board.snapshot(self._clock()))
        self._keep(board)

    def tick(self) -> None:
        """To be called about once a second: ends leases, and boards that are silent; keeps what the others told."""
        self._end_leases()
        now = self._monotonic()
        for board in list(self._boards.values()):
            silent_s = now - board.silent_since
            if silent_s > _MISSED * self._heartbeat_s:
                self.leave(board, f"not heard for {silent_s:.0f} s")
                board.send(None)
            elif now - board.stored_at > _STORE_S:
                self._keep(board)

    def _keep(self, board: Board) -> None:
        board.stored_at = self._monotonic()
        self._known.keep(board.snapshot(self._clock()))

    def board(self, device_id: str) -> Board:
        """A connected board. Raises KeyError for any other."""
        return self._boards[device_id]

    def connected(self) -> list[Board]:
        return list(self._boards.values())

    def devices(self, pool: str = "") -> list[Device]:
        """Every known device in its present state, by name. Raises NotFound for an unknown ``pool``."""
        if pool:
            self.pool(pool)
        now = self._clock()
        sharing = self._sharing()
        known = [self._boards[d.id].snapshot(now) if d.id in self._boards else d for d in self._known]
        known = [replace(d, shares_cpus_with=sharing[d.id]) if d.id in sharing else d for d in known]
        return sorted((d for d in known if not pool or pool in d.pools), key=lambda d: d.name)

    def device(self, id_or_name: str) -> Device:
        """One known device in its present state. Raises NotFound."""
        known = self._known.find(id_or_name)
        return self._boards[known.id].snapshot(self._clock()) if known.id in self._boards else known

    def _sharing(self) -> dict[str, tuple[str, ...]]:
        return sharing_cpus(board.device for board in self._boards.values())

    def warning(self, board: Board) -> str:
        """What whoever minds a board should know, a sentence for its agent's log; "": nothing."""
        if not (others := self._sharing().get(board.id)):
            return ""
        who, either, one = ("another agent measures", "either", "one of them")
        if len(others) > 1:
            who, either, one = ("other agents measure", "any", "all but one")
        return (
            f"{who} on this machine's CPUs, as {' and '.join(others)}: they disturb each other, and no timing of "
            f"{either} is right; stop {one}, or give each CPUs of its own with taskset"
        )

    def agent_labels(self, device_id: str) -> dict[str, str]:
        """The labels of a known device without those that people set."""
        return self._known.agent_labels(device_id)

    def orders_of(self, device_id: str) -> DeviceOrders:
        """What is ordered of a device."""
        return self._known.orders_of(device_id)

    async def put_orders(self, device_id: str, orders: DeviceOrders) -> None:
        """Store and carry out what is ordered of a known device, connected or not."""
        await self._known.store_orders(device_id, orders)
        self._order(device_id, orders)

    async def forget(self, device_id: str) -> None:
        """Take a known device, and what is ordered of it, out of the farm. Should it join again, it is a new one.

        Raises NotPossible where it is connected.
        """
        if device_id in self._boards:
            name = self._known[device_id].name
            raise NotPossible(f"device {name} is connected: stop its agent before it is forgotten")
        self._identities.forget(device_id)
        await self._known.forget(device_id)

    def lease_holders(self) -> set[str]:
        """Users who have a lease of a device, connected or not."""
        return {orders.lease.user for _, orders in self._known.orders() if orders.lease}

    def _order(self, device_id: str, orders: DeviceOrders) -> None:
        self._known.order(device_id, orders)
        if (board := self._boards.get(device_id)) is None:
            return
        board.device = self._known.ordered(board.device)
        if self._listener:
            if board.takes_work:
                self._listener.joined(board)
            else:
                self._listener.stopped(board)

    def _end_leases(self) -> None:
        # Nothing to store: a lease in the past is none, whenever it is read.
        now = self._clock()
        for device_id, orders in self._known.orders():
            if (left := orders.at(now)) is not orders and device_id in self._known:
                log.info("%s: no longer %s", self._known[device_id].name, orders.lease)
                self._order(device_id, left)

    def pools(self) -> list[Pool]:
        """All pools by name, with the devices in them."""
        return [self.pool(name) for name in self._pools.names()]

    def pool(self, name: str) -> Pool:
        """One pool, with the devices in it. Raises NotFound, which lists the pools that exist."""
        pool = self._pools.named(name)
        members = [d for d in self._known if name in d.pools]
        connected = sum(d.id in self._boards for d in members)
        return replace(pool, devices=tuple(sorted(d.name for d in members)), connected=connected)

    async def put_pool(self, name: str, selector: dict[str, str]) -> Pool:
        """Make or change a pool. Raises InvalidRequest for a bad name, an empty selector or a built-in pool."""
        await self._pools.put(name, selector)
        self._regroup()
        return self.pool(name)

    async def delete_pool(self, name: str) -> None:
        """Raises NotFound, or InvalidRequest for a built-in pool."""
        await self._pools.delete(name)
        self._regroup()

    def _regroup(self) -> None:
        self._known.regroup()
        for board in self._boards.values():
            board.device = self._known.ordered(board.device)
            if self._listener:
                self._listener.joined(board)
