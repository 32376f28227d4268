"""The devices that the farm remembers: what each was when last heard, what is ordered of it, what it is called."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from dataclasses import replace

from tvm_farm.protos.names import nearest_name
from tvm_farm.protos.suggestions import no_such
from tvm_farm.tracker.domain import Device, DeviceOrders, DeviceState, Join
from tvm_farm.tracker.domain.device_class import automatic_labels, device_class, former_class, is_renamed
from tvm_farm.tracker.domain.errors import NotFound
from tvm_farm.tracker.domain.target import derive_target
from tvm_farm.tracker.services.pools import Pools
from tvm_farm.tracker.services.renamed_classes import follow_name, follow_names
from tvm_farm.tracker.services.store_thread import StoreThread

__all__ = ["KnownDevices"]

log = logging.getLogger(__name__)


class KnownDevices:
    """Every device that joined and was not forgotten, kept in the store. Used in the event loop alone."""

    def __init__(self, store: StoreThread, pools: Pools) -> None:
        self._thread = store
        self._store = store.store
        self._pools = pools
        self._by_id: dict[str, Device] = {}
        self._ids: dict[str, str] = {}
        self._orders: dict[str, DeviceOrders] = {}
        self._agent_labels: dict[str, dict[str, str]] = {}
        self._writes: set[asyncio.Task[None]] = set()

    async def load(self) -> None:
        """Take up what the store holds, pools too; every device is lost until it joins again."""
        self._orders = await self._thread.run(self._store.orders.all)
        kept = await self._thread.run(self._store.devices.all)
        devices = await self._thread.run(follow_names, self._store, kept)
        await self._pools.load()  # not before: one may select a class that has another name now
        for device in devices:
            self._agent_labels[device.id] = device.labels
            lost = replace(device, state=DeviceState.LOST, held=0, utilisation=0.0, ailing="")
            self.put(self.ordered(lost))

    def __contains__(self, device_id: str) -> bool:
        return device_id in self._by_id

    def __iter__(self) -> Iterator[Device]:
        """What is known now: a device that is put meanwhile changes nothing."""
        return iter(list(self._by_id.values()))

    def __getitem__(self, device_id: str) -> Device:
        return self._by_id[device_id]

    def get(self, device_id: str) -> Device | None:
        return self._by_id.get(device_id)

    def find(self, id_or_name: str) -> Device:
        """Raises NotFound."""
        device_id = id_or_name if id_or_name in self._by_id else self._ids.get(id_or_name, "")
        if device_id not in self._by_id:
            raise NotFound(no_such("device", id_or_name, (each.name for each in self)))
        return self._by_id[device_id]

    def put(self, device: Device) -> None:
        """Remember ``device`` as it is, until the tracker ends: ``keep`` stores it."""
        self._by_id[device.id], self._ids[device.name] = device, device.id

    def keep(self, device: Device) -> None:
        """Have ``device`` stored, soon."""
        # What was ordered of it is kept apart, and only there.
        own = replace(device, labels=self._agent_labels[device.id], lease=None, drain=None, hand_labels={})
        device = replace(own, upgrade=None)
        put = self._store.devices.put

        def put_known() -> None:
            # One that was forgotten while this waited for its turn is not kept again.
            if device.id in self._by_id:
                put(device)

        self._written_soon(asyncio.ensure_future(self._thread.insist(put_known)))

    def _written_soon(self, task: asyncio.Task[None]) -> None:
        self._writes.add(task)
        task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a device's state could not be stored", exc_info=error)

    async def forget(self, device_id: str) -> None:
        """Take a device, and what is ordered of it, out of memory and store. What it measured stays in the log."""
        known, orders, labels = self._by_id[device_id], self._orders.get(device_id), self._agent_labels[device_id]
        # Before the store is asked: who joins meanwhile is a new device, and is written after this.
        del self._by_id[device_id], self._agent_labels[device_id]
        self._orders.pop(device_id, None)
        self._ids.pop(known.name, None)
        try:
            await self._thread.run(self._store.devices.forget, device_id)
        except BaseException:
            if device_id not in self._by_id and known.name not in self._ids:
                self._agent_labels[device_id] = labels
                self.put(known)
                if orders is not None:
                    self._orders[device_id] = orders
            raise

    def joined(self, join: Join, now: float) -> Device:
        """What joins, by a name that no other device has; its records of before come along. ``now``: unix seconds."""
        before = self._by_id.get(join.device_id)
        device = self._describe(join, before, now)
        self._follow_name(before, device)
        self.put(device)
        return device

    def _describe(self, join: Join, before: Device | None, now: float) -> Device:
        derived = derive_target(join.fingerprint, join.runner.threads)
        board_class = device_class(join.fingerprint, join.runner)
        name = self._name_for(join, before)
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
            measured=before.measured if before else 0,
            code=join.code,
            machine=join.machine,
            clone=before.clone if before else None,
        )
        return self.ordered(device)

    def _name_for(self, join: Join, before: Device | None) -> str:
        wanted = join.name or join.fingerprint.hostname
        if before is None or before.name != wanted:  # a name of before this rule is kept
            wanted = nearest_name(wanted, "device")
        if before and re.fullmatch(re.escape(wanted) + r"(-\d+)?", before.name):
            return before.name
        if before:
            self._ids.pop(before.name, None)
        name, number = wanted, 1
        while self._ids.get(name, join.device_id) != join.device_id:
            number += 1
            name = f"{wanted}-{number}"
        return name

    def _follow_name(self, before: Device | None, now: Device) -> None:
        """Take a device's records along into its class of now, where its agent only calls its cores otherwise."""
        if before is None or before.device_class == now.device_class:
            return
        if is_renamed(before.fingerprint, now.fingerprint):
            kept = replace(now, device_class=before.device_class)
            moved = self._thread.run(follow_name, self._store, kept, now.device_class)
            self._written_soon(asyncio.ensure_future(moved))

    def class_named(self, name: str) -> str:
        """The class that ``name`` means, which may be what a farm called it before: in scripts and packages of then."""
        if not name or any(name == device.device_class for device in self):
            return name
        formerly = {d.device_class for d in self if name == former_class(d.fingerprint, d.runner)}
        return formerly.pop() if len(formerly) == 1 else name

    def agent_labels(self, device_id: str) -> dict[str, str]:
        """The labels of a device without those that people set."""
        return dict(self._agent_labels[device_id])

    def orders_of(self, device_id: str) -> DeviceOrders:
        """What is ordered of a device."""
        return self._orders.get(device_id, DeviceOrders())

    def orders(self) -> list[tuple[str, DeviceOrders]]:
        """What is ordered, by the ids of devices; a device that was forgotten meanwhile may be among them."""
        return list(self._orders.items())

    async def store_orders(self, device_id: str, orders: DeviceOrders) -> None:
        await self._thread.run(self._store.orders.put, device_id, orders)

    def order(self, device_id: str, orders: DeviceOrders) -> None:
        """From now on ``orders`` are what is ordered of a device, in memory alone."""
        self._orders[device_id] = orders
        self.put(self.ordered(self._by_id[device_id]))

    def ordered(self, device: Device) -> Device:
        """``device`` with what is ordered of it, in the pools of its labels."""
        orders = self.orders_of(device.id)
        labels = {**self._agent_labels[device.id], **orders.labels}
        device = replace(device, labels=labels, lease=orders.lease, drain=orders.drain, hand_labels=orders.labels)
        return replace(device, upgrade=orders.upgrade, pools=self._pools.of(labels))

    def regroup(self) -> None:
        """After a change of the pools."""
        for device in self:
            self.put(replace(device, pools=self._pools.of(device.labels)))
