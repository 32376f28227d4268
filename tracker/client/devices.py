"""A Farm's devices: which there are, what is ordered of them, their pools and runtimes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import devices_pb2, devices_pb2_grpc, runtime_pb2
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.domain import Device, Pool, Runtime

__all__ = ["Devices"]


class Devices:
    """What is ordered of a device, named by its id or its name, answers with the device after it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stub = devices_pb2_grpc.DevicesStub(link.channel)

    def list(self, pool: str = "") -> tuple[Device, ...]:
        """All devices, or those of ``pool``; BadInput when there is no such pool."""
        answer = self._link.call(self._stub.ListDevices, devices_pb2.ListDevicesRequest(pool=pool))
        return tuple(from_message(Device, device) for device in answer.devices)

    def lease(self, device: str, user: str, for_s: float) -> Device:
        """Keep a device for the jobs of ``user``, or keep it longer. BadInput names who has it else."""
        request = devices_pb2.LeaseDeviceRequest(device=device, user=user, for_s=for_s)
        return from_message(Device, self._link.call(self._stub.LeaseDevice, request))

    def release(self, device: str, user: str) -> Device:
        request = devices_pb2.ReleaseDeviceRequest(device=device, user=user)
        return from_message(Device, self._link.call(self._stub.ReleaseDevice, request))

    def drain(self, device: str, user: str, reason: str) -> Device:
        request = devices_pb2.DrainDeviceRequest(device=device, user=user, reason=reason)
        return from_message(Device, self._link.call(self._stub.DrainDevice, request))

    def resume(self, device: str) -> Device:
        request = devices_pb2.ResumeDeviceRequest(device=device)
        return from_message(Device, self._link.call(self._stub.ResumeDevice, request))

    def label(self, device: str, put: Mapping[str, str], remove: Iterable[str]) -> Device:
        request = devices_pb2.LabelDeviceRequest(device=device, put=put, remove=remove)
        return from_message(Device, self._link.call(self._stub.LabelDevice, request))

    def upgrade(self, device: str, user: str, digest: str) -> Device:
        """Have a device run the agent of the wheel ``digest``, an artifact; "": take the order back.

        BadInput says why it cannot be.
        """
        request = devices_pb2.UpgradeDeviceRequest(device=device, user=user, digest=digest)
        return from_message(Device, self._link.call(self._stub.UpgradeDevice, request))

    def forget(self, device: str) -> Device:
        """Take a lost device, and what is ordered of it, out of the farm; what it was. Its records stay in the log.

        BadInput where it is connected.
        """
        return from_message(
            Device, self._link.call(self._stub.ForgetDevice, devices_pb2.ForgetDeviceRequest(device=device))
        )

    # -- pools

    def pools(self) -> tuple[Pool, ...]:
        answer = self._link.call(self._stub.ListPools, devices_pb2.ListPoolsRequest())
        return tuple(from_message(Pool, pool) for pool in answer.pools)

    def put_pool(self, name: str, selector: Mapping[str, str]) -> Pool:
        request = devices_pb2.PutPoolRequest(name=name, selector=selector)
        return from_message(Pool, self._link.call(self._stub.PutPool, request))

    def delete_pool(self, name: str) -> None:
        self._link.call(self._stub.DeletePool, devices_pb2.DeletePoolRequest(name=name))

    # -- TVM's runtime for boards

    def runtimes(self) -> tuple[Runtime, ...]:
        """What boards can have, by architecture."""
        answer = self._link.call(self._stub.ListRuntimes, devices_pb2.ListRuntimesRequest())
        return tuple(from_message(Runtime, runtime) for runtime in answer.runtimes)

    def put_runtime(self, runtime: Runtime) -> Runtime:
        """Offer ``runtime`` to boards from now on; its libraries are artifacts that were sent."""
        message = to_message(runtime_pb2.Runtime, runtime)
        return from_message(Runtime, self._link.call(self._stub.PutRuntime, message))
