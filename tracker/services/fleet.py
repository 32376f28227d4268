"""The boards of the farm: who joined, who is heard, which pools they are in."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable
from dataclasses import replace

from tvm_farm.protos.names import nearest_name, parse_name
from tvm_farm.protos.suggestions import did_you_mean, no_such
from tvm_farm.protos.version import __version__
from tvm_farm.tracker.domain import (
    BUILT_IN_POOLS,
    Clone,
    Device,
    DeviceOrders,
    DeviceState,
    Join,
    Machine,
    Pool,
    Telemetry,
    matches,
)
from tvm_farm.tracker.domain.compatibility import check_protocol, check_release, check_tvm
from tvm_farm.tracker.domain.device_class import (
    AUTOMATIC_LABELS,
    automatic_labels,
    device_class,
    former_class,
    is_renamed,
)
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound, NotPossible
from tvm_farm.tracker.domain.machine import is_plausible, is_same_machine, sharing_cpus
from tvm_farm.tracker.domain.target import derive_target
from tvm_farm.tracker.measuring.board import Board, BoardListener, Order
from tvm_farm.tracker.services.identities import Claim, Identities, refusal
from tvm_farm.tracker.services.renamed_classes import follow_name, follow_names
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
    """Every device that joined and was not forgotten. Used in the event loop alone.

    ``clock`` gives unix seconds, which are shown; by ``monotonic``, which no one sets, boards are judged silent.
    """

    def __init__(
        self,
        store: StoreThread,
        heartbeat_s: float = HEARTBEAT_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._thread = store
        self._store = store.store
        self._heartbeat_s = heartbeat_s
        self._clock = clock
        self._monotonic = monotonic
        self._boards: dict[str, Board] = {}
        self._known: dict[str, Device] = {}
        self._ids: dict[str, str] = {}
        self._identities = Identities()
        self._orders: dict[str, DeviceOrders] = {}
        self._agent_labels: dict[str, dict[str, str]] = {}
        self._pools: dict[str, Pool] = {pool.name: pool for pool in BUILT_IN_POOLS}
        self._writes: set[asyncio.Task[None]] = set()
        self._listener: BoardListener | None = None
        self._least_free: float | None = None
        self._least_free_until = 0.0

    async def load(self, listener: BoardListener) -> None:
        """Take up what the store holds; every device is lost until it joins again."""
        self._listener = listener
        self._orders = await self._thread.run(self._store.orders.all)
        for pool in await self._thread.run(self._store.pools.all):
            self._pools[pool.name] = pool
        kept = await self._thread.run(self._store.devices.all)
        for device in await self._thread.run(follow_names, self._store, kept):
            self._ids[device.name] = device.id
            self._agent_labels[device.id] = device.labels
            self._known[device.id] = self._ordered(
                replace(device, state=DeviceState.LOST, held=0, utilisation=0.0, ailing="")
            )
        self._end_leases()

    @property
    def heartbeat_s(self) -> float:
        return self._heartbeat_s

    def join(self, join: Join, send: Callable[[Order | None], None]) -> Board:
        """A board connects. ``send`` carries orders to it, None ends its stream.

        A device that is connected already is replaced. Raises VersionMismatch or InvalidRequest, one sentence that
        says what to change.
        """
        check_protocol(join.protocol_version, "agent")
        check_release(join.fingerprint.agent_version, __version__)
        check_tvm(join.runner.tvm_version, "agent", join.fingerprint.hostname)
        self._check(join)
        before = self._boards.get(join.device_id)
        self._check_identity(join, before)
        if before is not None:
            self.leave(before, "its agent connected again")
            before.send(None)
        now = self._clock()
        if join.device_id not in self._known:
            self._end_clones(join)
        device = self._describe(join, now)
        self._follow_name(self._known.get(join.device_id), device)
        board = Board(device, max(1, join.slots), send, now, self._monotonic(), join.short_slots)
        self._boards[device.id], self._known[device.id], self._ids[device.name] = board, device, device.id
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

    def _check(self, join: Join) -> None:
        if not join.device_id:
            raise InvalidRequest("the agent sent no device id: upgrade the agent")
        if join.machine and not is_plausible(join.machine):
            raise InvalidRequest(f"the agent on {join.fingerprint.hostname} tells of no machine: upgrade the agent")
        if taken := sorted(set(join.labels) & set(AUTOMATIC_LABELS)):
            raise InvalidRequest(f"the label '{taken[0]}' is set by the tracker: start the agent without it")

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
        for device in list(self._known.values()):
            if device.clone and join.machine and is_same_machine(device.clone.machine, join.machine):
                log.info("%s has no clone any more", device.name)
                self._put_clone(device.id, None)

    def _put_clone(self, device_id: str, clone: Clone | None) -> None:
        self._known[device_id] = replace(self._known[device_id], clone=clone)
        if (board := self._boards.get(device_id)) is not None:
            board.device = replace(board.device, clone=clone)
        self._store_device(self._known[device_id] if board is None else board.snapshot(self._clock()))

    def _describe(self, join: Join, now: float) -> Device:
        derived = derive_target(join.fingerprint, join.runner.threads)
        board_class = device_class(join.fingerprint, join.runner)
        earlier = self._known.get(join.device_id)
        wanted = join.name or join.fingerprint.hostname
        if earlier is None or earlier.name != wanted:  # a name of before this rule is kept
            wanted = nearest_name(wanted, "device")
        name = self._free_name(wanted, join.device_id)
        automatic = automatic_labels(name, join.fingerprint, join.runner, board_class)
        self._agent_labels[join.device_id] = {**join.labels, **automatic}
        device = Device(
            id=join.device_id,
            name=name,
            fingerprint=join.fingerprint,
            runner=join.runner,
            device_class=board_class,
            target=derived.target,
            target_origin=derived.origin,
            state=DeviceState.IDLE,
            joined_unix_s=now,
            last_heard_unix_s=now,
            telemetry=join.telemetry,
            measured=earlier.measured if earlier else 0,
            code=join.code,
            machine=join.machine,
            clone=earlier.clone if earlier else None,
        )
        return self._ordered(device)

    def _follow_name(self, before: Device | None, now: Device) -> None:
        """Take a device's records along into its class of now, where its agent only calls its cores otherwise."""
        if before is None or before.device_class == now.device_class:
            return
        if is_renamed(before.fingerprint, now.fingerprint):
            kept = replace(now, device_class=before.device_class)
            task = asyncio.ensure_future(self._thread.run(follow_name, self._store, kept, now.device_class))
            self._writes.add(task)
            task.add_done_callback(self._written)

    def class_named(self, name: str) -> str:
        """The class that ``name`` means, which may be what a farm called it before: in scripts and packages of then."""
        known = list(self._known.values())
        if not name or any(name == device.device_class for device in known):
            return name
        formerly = {d.device_class for d in known if name == former_class(d.fingerprint, d.runner)}
        return formerly.pop() if len(formerly) == 1 else name

    def _free_name(self, wanted: str, device_id: str) -> str:
        earlier = self._known.get(device_id)
        if earlier and re.fullmatch(re.escape(wanted) + r"(-\d+)?", earlier.name):
            return earlier.name
        if earlier:
            self._ids.pop(earlier.name, None)
        name, number = wanted, 1
        while self._ids.get(name, device_id) != device_id:
            number += 1
            name = f"{wanted}-{number}"
        return name

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
        ending = "stopped" if board.draining else "lost"
        log.info("%s %s: %s", board.device.name, ending, reason, extra={"device": board.device.name})
        if self._listener:
            self._listener.left(board)
        self._known[board.id] = board.snapshot(self._clock())
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
        self._store_device(board.snapshot(self._clock()))

    def _store_device(self, device: Device) -> None:
        # What was ordered of it is kept apart, and only there.
        own = replace(device, labels=self._agent_labels[device.id], lease=None, drain=None, hand_labels={})
        device = replace(own, upgrade=None)
        put = self._store.devices.put

        def put_known() -> None:
            # One that was forgotten while this waited for its turn is not kept again.
            if device.id in self._known:
                put(device)

        task = asyncio.ensure_future(self._thread.insist(put_known))
        self._writes.add(task)
        task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a device's state could not be stored", exc_info=error)

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
        known = [self._boards[d.id].snapshot(now) if d.id in self._boards else d for d in self._known.values()]
        known = [replace(d, shares_cpus_with=sharing[d.id]) if d.id in sharing else d for d in known]
        return sorted((d for d in known if not pool or pool in d.pools), key=lambda d: d.name)

    def device(self, id_or_name: str) -> Device:
        """One known device in its present state. Raises NotFound."""
        device_id = id_or_name if id_or_name in self._known else self._ids.get(id_or_name, "")
        if device_id in self._boards:
            return self._boards[device_id].snapshot(self._clock())
        if device_id not in self._known:
            raise NotFound(no_such("device", id_or_name, (each.name for each in self._known.values())))
        return self._known[device_id]

    def _sharing(self) -> dict[str, tuple[str, ...]]:
        return sharing_cpus(board.device for board in self._boards.values())

    def warning(self, board: Board) -> str:
        """What whoever minds a board should know, a sentence for its agent's log; "": nothing."""
        if not (others := self._sharing().get(board.id)):
            return ""
        return (
            f"another agent measures on this machine's CPUs, as {' and '.join(others)}: they disturb each other, and "
            "no timing of either is right; stop one of them, or give each CPUs of its own with taskset"
        )

    def agent_labels(self, device_id: str) -> dict[str, str]:
        """The labels of a known device without those that people set."""
        return dict(self._agent_labels[device_id])

    def orders_of(self, device_id: str) -> DeviceOrders:
        """What is ordered of a device."""
        return self._orders.get(device_id, DeviceOrders())

    async def put_orders(self, device_id: str, orders: DeviceOrders) -> None:
        """Store and carry out what is ordered of a known device, connected or not."""
        await self._thread.run(self._store.orders.put, device_id, orders)
        self._order(device_id, orders)

    async def forget(self, device_id: str) -> None:
        """Take a known device, and what is ordered of it, out of the farm. Should it join again, it is a new one.

        Raises NotPossible where it is connected.
        """
        known, orders, labels = self._known[device_id], self._orders.get(device_id), self._agent_labels[device_id]
        if device_id in self._boards:
            raise NotPossible(f"device {known.name} is connected: stop its agent before it is forgotten")
        # Before the store is asked: who joins meanwhile is a new device, and is written after this.
        del self._known[device_id], self._agent_labels[device_id]
        self._orders.pop(device_id, None)
        self._ids.pop(known.name, None)
        self._identities.forget(device_id)
        try:
            await self._thread.run(self._store.devices.forget, device_id)
        except BaseException:
            if device_id not in self._known and known.name not in self._ids:
                self._known[device_id], self._agent_labels[device_id] = known, labels
                self._ids[known.name] = device_id
                if orders is not None:
                    self._orders[device_id] = orders
            raise

    def lease_holders(self) -> set[str]:
        """Users who have a lease of a device, connected or not."""
        return {orders.lease.user for orders in self._orders.values() if orders.lease}

    def _order(self, device_id: str, orders: DeviceOrders) -> None:
        self._orders[device_id] = orders
        self._known[device_id] = self._ordered(self._known[device_id])
        if (board := self._boards.get(device_id)) is None:
            return
        board.device = self._ordered(board.device)
        if self._listener:
            if board.takes_work:
                self._listener.joined(board)
            else:
                self._listener.stopped(board)

    def _ordered(self, device: Device) -> Device:
        orders = self.orders_of(device.id)
        labels = {**self._agent_labels[device.id], **orders.labels}
        device = replace(device, labels=labels, lease=orders.lease, drain=orders.drain, hand_labels=orders.labels)
        return self._in_pools(replace(device, upgrade=orders.upgrade))

    def _end_leases(self) -> None:
        # Nothing to store: a lease in the past is none, whenever it is read.
        now = self._clock()
        for device_id, orders in list(self._orders.items()):
            if (left := orders.at(now)) is not orders and device_id in self._known:
                log.info("%s: no longer %s", self._known[device_id].name, orders.lease)
                self._order(device_id, left)

    def pools(self) -> list[Pool]:
        """All pools by name, with the devices in them."""
        return [self.pool(name) for name in sorted(self._pools)]

    def pool(self, name: str) -> Pool:
        """Raises NotFound, which lists the pools that exist."""
        pool = self._pools.get(name)
        if pool is None:
            existing, meant = ", ".join(sorted(self._pools)), did_you_mean(name, self._pools)
            raise NotFound(f"there is no pool '{name}': this farm has {existing}{meant and '.' + meant}")
        members = [d for d in self._known.values() if name in d.pools]
        connected = sum(d.id in self._boards for d in members)
        return replace(pool, devices=tuple(sorted(d.name for d in members)), connected=connected)

    async def put_pool(self, name: str, selector: dict[str, str]) -> Pool:
        """Make or change a pool. Raises InvalidRequest for a bad name, an empty selector or a built-in pool."""
        if name not in self._pools:  # one of before this rule may be changed
            try:
                parse_name(name, "a pool")
            except ValueError as e:
                raise InvalidRequest(str(e)) from e
        if not selector:
            raise InvalidRequest(f"pool '{name}' needs a selector, such as board=raspberry-pi-4")
        if name in self._pools and self._pools[name].built_in:
            raise InvalidRequest(f"the pool '{name}' is built in and cannot be changed")
        pool = Pool(name, dict(selector))
        await self._thread.run(self._store.pools.put, pool)
        self._pools[name] = pool
        self._regroup()
        return self.pool(name)

    async def delete_pool(self, name: str) -> None:
        """Raises NotFound, or InvalidRequest for a built-in pool."""
        if self.pool(name).built_in:
            raise InvalidRequest(f"the pool '{name}' is built in and cannot be deleted")
        await self._thread.run(self._store.pools.delete, name)
        self._pools.pop(name, None)
        self._regroup()

    def _in_pools(self, device: Device) -> Device:
        names = sorted(p.name for p in self._pools.values() if matches(p.selector, device.labels))
        return replace(device, pools=tuple(names))

    def _regroup(self) -> None:
        self._known = {id_: self._in_pools(device) for id_, device in self._known.items()}
        for board in self._boards.values():
            board.device = self._in_pools(board.device)
            if self._listener:
                self._listener.joined(board)
