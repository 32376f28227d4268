"""Service Devices, for whoever minds the boards: which there are, what is ordered of them, pools and runtimes."""

from __future__ import annotations

from typing import Any

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import device_pb2, devices_pb2, devices_pb2_grpc, runtime_pb2
from tvm_farm.tracker.domain import Device, Runtime
from tvm_farm.tracker.services.device_orders import OrderBook
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.jobs import Jobs
from tvm_farm.tracker.services.runtimes import Runtimes
from tvm_farm.tracker.services.upgrades import Upgrades
from tvm_farm.tracker.wire.values import read, read_given_name, read_line

__all__ = ["DevicesServicer"]


class DevicesServicer(devices_pb2_grpc.DevicesServicer):
    def __init__(self, fleet: Fleet, order_book: OrderBook, upgrades: Upgrades, runtimes: Runtimes, jobs: Jobs) -> None:
        self._fleet = fleet
        self._order_book = order_book
        self._upgrades = upgrades
        self._runtimes = runtimes
        self._jobs = jobs

    async def ListDevices(
        self, request: devices_pb2.ListDevicesRequest, context: Any
    ) -> devices_pb2.ListDevicesResponse:
        return devices_pb2.ListDevicesResponse(devices=map(_device, self._fleet.devices(request.pool)))

    async def LeaseDevice(self, request: devices_pb2.LeaseDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._order_book.lease(request.device, _user(request), request.for_s))

    async def ReleaseDevice(self, request: devices_pb2.ReleaseDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._order_book.release(request.device, request.user))

    async def DrainDevice(self, request: devices_pb2.DrainDeviceRequest, context: Any) -> device_pb2.Device:
        reason = read_line(request.reason, "a reason")
        return _device(await self._order_book.drain(request.device, _user(request), reason))

    async def ResumeDevice(self, request: devices_pb2.ResumeDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._order_book.resume(request.device))

    async def LabelDevice(self, request: devices_pb2.LabelDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._order_book.label(request.device, dict(request.put), list(request.remove)))

    async def UpgradeDevice(self, request: devices_pb2.UpgradeDeviceRequest, context: Any) -> device_pb2.Device:
        if not request.digest:
            return _device(await self._upgrades.cancel(request.device))
        return _device(await self._upgrades.order(request.device, _user(request), request.digest))

    async def ForgetDevice(self, request: devices_pb2.ForgetDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._order_book.forget(request.device))

    async def ListPools(self, request: devices_pb2.ListPoolsRequest, context: Any) -> devices_pb2.ListPoolsResponse:
        return devices_pb2.ListPoolsResponse(pools=[to_message(device_pb2.Pool, p) for p in self._fleet.pools()])

    async def PutPool(self, request: devices_pb2.PutPoolRequest, context: Any) -> device_pb2.Pool:
        return to_message(device_pb2.Pool, await self._fleet.put_pool(request.name, dict(request.selector)))

    async def DeletePool(self, request: devices_pb2.DeletePoolRequest, context: Any) -> devices_pb2.DeletePoolResponse:
        await self._jobs.delete_pool(request.name)
        return devices_pb2.DeletePoolResponse()

    async def ListRuntimes(
        self, request: devices_pb2.ListRuntimesRequest, context: Any
    ) -> devices_pb2.ListRuntimesResponse:
        runtimes = [to_message(runtime_pb2.Runtime, runtime) for runtime in await self._runtimes.all()]
        return devices_pb2.ListRuntimesResponse(runtimes=runtimes)

    async def PutRuntime(self, request: runtime_pb2.Runtime, context: Any) -> runtime_pb2.Runtime:
        return to_message(runtime_pb2.Runtime, await self._runtimes.put(read(Runtime, request)))


def _user(request: Any) -> str:
    """Who gives an order. Raises InvalidRequest for what is no user's name."""
    return read_given_name(request.user, "a user's name")


def _device(device: Device) -> device_pb2.Device:
    return to_message(device_pb2.Device, device)
