"""Boards as a store keeps them: what they are, what is ordered of them, and the pools that select them."""

from __future__ import annotations

from typing import Protocol

from tvm_farm.tracker.domain import Device, DeviceOrders, Pool

__all__ = ["Devices", "Orders", "Pools"]


class Devices(Protocol):
    """Boards, each as it was last seen."""

    def put(self, device: Device) -> None:
        """Keep the last known state of ``device``, replacing what was kept under its id."""

    def forget(self, device_id: str) -> bool:
        """Remove a device with what is ordered of it; whether it was kept. What it measured stays in the log."""

    def all(self) -> list[Device]:
        """Every device that joined and was not forgotten, by name, in the state last kept."""


class Orders(Protocol):
    """What people ordered of boards, apart from what boards say of themselves."""

    def put(self, device_id: str, orders: DeviceOrders) -> None:
        """Keep what is ordered of a device, replacing what was kept for it. The device may be one never seen."""

    def all(self) -> dict[str, DeviceOrders]:
        """What was kept, by device id."""


class Pools(Protocol):
    """Selections of boards by label."""

    def put(self, pool: Pool) -> None:
        """Keep name and selector, replacing a pool of that name."""

    def delete(self, name: str) -> bool:
        """Whether there was one."""

    def all(self) -> list[Pool]:
        """Kept pools by name: names and selectors alone."""
