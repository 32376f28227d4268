"""Boards, what is ordered of them, and pools. Kept as text, which nobody can change."""

from __future__ import annotations

from tvm_farm.tracker.domain import Device, DeviceOrders, Pool
from tvm_farm.tracker.store.encoding import decode, encode

__all__ = ["MemoryDevices", "MemoryOrders", "MemoryPools"]


class MemoryDevices:
    def __init__(self, orders: MemoryOrders) -> None:
        self._texts: dict[str, str] = {}
        self._orders = orders

    def put(self, device: Device) -> None:
        self._texts[device.id] = encode(device)

    def forget(self, device_id: str) -> bool:
        self._orders.drop(device_id)
        return self._texts.pop(device_id, None) is not None

    def all(self) -> list[Device]:
        return sorted((decode(Device, text) for text in self._texts.values()), key=lambda device: device.name)


class MemoryOrders:
    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def put(self, device_id: str, orders: DeviceOrders) -> None:
        self._texts[device_id] = encode(orders)

    def drop(self, device_id: str) -> None:
        """Nothing is ordered of the device any more."""
        self._texts.pop(device_id, None)

    def all(self) -> dict[str, DeviceOrders]:
        return {device_id: decode(DeviceOrders, text) for device_id, text in self._texts.items()}


class MemoryPools:
    def __init__(self) -> None:
        self._selectors: dict[str, dict[str, str]] = {}

    def put(self, pool: Pool) -> None:
        self._selectors[pool.name] = dict(pool.selector)

    def delete(self, name: str) -> bool:
        return self._selectors.pop(name, None) is not None

    def all(self) -> list[Pool]:
        return [Pool(name, dict(selector)) for name, selector in sorted(self._selectors.items())]
