"""What people order of devices: to lease them, to drain them, to label them, to upgrade their agents."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from tvm_farm.protos.labels import parse_labels
from tvm_farm.tracker.domain import Device, DeviceOrders, DeviceState, Upgrade
from tvm_farm.tracker.domain.device_class import AUTOMATIC_LABELS
from tvm_farm.tracker.domain.device_orders import drained, labelled, leased, released, resumed, upgrade_ended
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.services.fleet import Fleet

__all__ = ["OrderBook"]

log = logging.getLogger(__name__)


class OrderBook:
    """Used in the event loop alone. Each order is on the disk before it holds, and before it is answered.

    ``device`` is an id or a name. Every method returns the device after it and raises NotFound for an unknown one. What
    a board holds when it is drained or leased it finishes: killed, it would cost another board the same time again.
    """

    def __init__(self, fleet: Fleet, clock: Callable[[], float] = time.time) -> None:
        self._fleet = fleet
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def lease(self, device: str, user: str, for_s: float) -> Device:
        """From now on the device takes work of ``user`` alone. Renewal and refusals: see ``leased``."""
        now = self._clock()
        return await self._order(device, lambda orders, d: leased(orders, d.name, user, for_s, now))

    async def release(self, device: str, user: str) -> Device:
        """Raises NotPossible where ``user`` has no lease of it."""
        now = self._clock()
        return await self._order(device, lambda orders, d: released(orders, d.name, user, now))

    async def drain(self, device: str, user: str, reason: str) -> Device:
        """From now on the device takes no new work, through restarts of its agent and of the tracker."""
        now = self._clock()
        return await self._order(device, lambda orders, d: drained(orders, user, reason.strip(), now))

    async def resume(self, device: str) -> Device:
        """Raises NotPossible where nobody drained it."""
        return await self._order(device, lambda orders, d: resumed(orders, d.name))

    async def label(self, device: str, put: Mapping[str, str], remove: Collection[str]) -> Device:
        """Set and remove labels over those of the agent; pools follow at once.

        Raises InvalidRequest for a label that is none, one that the tracker sets, or one that cannot be removed.
        """
        try:
            put = parse_labels(f"{key}={value}" for key, value in put.items())
        except ValueError as e:
            raise InvalidRequest(str(e)) from e
        if taken := sorted({*put, *remove} & set(AUTOMATIC_LABELS)):
            raise InvalidRequest(f"the label '{taken[0]}' is set by the tracker: choose another name")
        return await self._order(
            device, lambda orders, d: labelled(orders, d.name, put, remove, self._fleet.agent_labels(d.id))
        )

    async def upgrade(self, device: str, upgrade: Upgrade | None) -> Device:
        """``upgrade`` in place of any before it; None: none is ordered. See ``services.upgrades`` for what may be."""
        return await self._order(device, lambda orders, d: replace(orders, upgrade=upgrade))

    async def upgrade_ended(self, device: str, upgrade_id: str, failure: str = "") -> Device:
        """The upgrade of that id runs, or for ``failure`` it does not."""
        return await self._order(device, lambda orders, d: upgrade_ended(orders, upgrade_id, failure))

    async def forget(self, device: str) -> Device:
        """A lost device is no device of the farm any more, nor is anything ordered of it. Returns what it was.

        Raises NotPossible where it is connected.
        """
        async with self._one_at_a_time:
            return await self._forget(self._fleet.device(device))

    async def _forget(self, device: Device) -> Device:
        await self._fleet.forget(device.id)
        heard = _date(device.last_heard_unix_s)
        log.info("%s is forgotten, last heard %s", device.name, heard, extra={"device": device.name})
        return device

    async def forget_lost(self, after_s: float) -> list[Device]:
        """Forget the devices that were last heard more than ``after_s`` ago, and of which nothing is ordered.

        A drain, a label by hand or an upgrade is what somebody wants of a board when it is back: these stay.
        """
        before = self._clock() - after_s
        forgotten: list[Device] = []
        async with self._one_at_a_time:
            # Looked for anew each time: while one is forgotten another may join.
            while old := self._lost_since(before):
                forgotten.append(await self._forget(old[0]))
        return forgotten

    def _lost_since(self, before: float) -> list[Device]:
        return [
            device
            for device in self._fleet.devices()
            if device.state is DeviceState.LOST
            and device.last_heard_unix_s < before
            and not self._fleet.orders_of(device.id).any
        ]

    async def _order(self, device: str, change: Callable[[DeviceOrders, Device], DeviceOrders]) -> Device:
        # Two orders at once would both start from the same orders.
        async with self._one_at_a_time:
            found = self._fleet.device(device)
            orders = change(self._fleet.orders_of(found.id), found)
            await self._fleet.put_orders(found.id, orders)
        log.info("ordered of %s now: %s", found.name, orders, extra={"device": found.name})
        return self._fleet.device(found.id)


def _date(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(unix_s))
