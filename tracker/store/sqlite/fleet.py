"""Boards, what is ordered of them, and pools, a table each."""

from __future__ import annotations

import json

from tvm_farm.tracker.domain import Device, DeviceOrders, Pool
from tvm_farm.tracker.store.encoding import decode, encode
from tvm_farm.tracker.store.sqlite.store_file import StoreFile

__all__ = ["SqliteDevices", "SqliteOrders", "SqlitePools"]


class SqliteDevices:
    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def put(self, device: Device) -> None:
        with self._file.writing():
            self._file.db.execute(
                """INSERT INTO devices (id, name, device_class, target, last_heard, measured, value)
                VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,
                device_class = excluded.device_class, target = excluded.target, last_heard = excluded.last_heard,
                measured = excluded.measured, value = excluded.value""",
                [
                    device.id,
                    device.name,
                    device.device_class,
                    device.target,
                    device.last_heard_unix_s,
                    device.measured,
                    encode(device),
                ],
            )

    def forget(self, device_id: str) -> bool:
        with self._file.writing():
            self._file.db.execute("DELETE FROM orders WHERE device_id = ?", [device_id])
            return bool(self._file.db.execute("DELETE FROM devices WHERE id = ?", [device_id]).rowcount)

    def all(self) -> list[Device]:
        rows = self._file.db.execute("SELECT value FROM devices ORDER BY name")
        return [decode(Device, row[0]) for row in rows]


class SqliteOrders:
    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def put(self, device_id: str, orders: DeviceOrders) -> None:
        with self._file.writing():
            self._file.db.execute(
                "INSERT INTO orders VALUES (?, ?) ON CONFLICT (device_id) DO UPDATE SET value = excluded.value",
                [device_id, encode(orders)],
            )

    def all(self) -> dict[str, DeviceOrders]:
        rows = self._file.db.execute("SELECT device_id, value FROM orders")
        return {device_id: decode(DeviceOrders, value) for device_id, value in rows}


class SqlitePools:
    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def put(self, pool: Pool) -> None:
        with self._file.writing():
            self._file.db.execute(
                "INSERT INTO pools VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET selector = excluded.selector",
                [pool.name, json.dumps(pool.selector)],
            )

    def delete(self, name: str) -> bool:
        with self._file.writing():
            return bool(self._file.db.execute("DELETE FROM pools WHERE name = ?", [name]).rowcount)

    def all(self) -> list[Pool]:
        rows = self._file.db.execute("SELECT name, selector FROM pools ORDER BY name")
        return [Pool(name, json.loads(selector)) for name, selector in rows]
