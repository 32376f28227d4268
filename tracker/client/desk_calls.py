"""Calls that order something of a device, named by its id or its name. Each answers with the device after it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from tvm_farm.protos.convert import from_message
from tvm_farm.protos.farm.v1 import control_pb2
from tvm_farm.tracker.domain import Device

__all__ = ["DeskCalls"]

_TIMEOUT_S = 30.0


class DeskCalls:
    """The part of FarmClient about leases, drains, labels and upgrades."""

    _stub: Any

    def _errors(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def lease(self, device: str, user: str, for_s: float) -> Device:
        """Keep a device for the jobs of ``user``, or keep it longer. BadInput names who has it else."""
        request = control_pb2.LeaseDeviceRequest(device=device, user=user, for_s=for_s)
        with self._errors():
            return from_message(Device, self._stub.LeaseDevice(request, timeout=_TIMEOUT_S))

    def release(self, device: str, user: str) -> Device:
        request = control_pb2.ReleaseDeviceRequest(device=device, user=user)
        with self._errors():
            return from_message(Device, self._stub.ReleaseDevice(request, timeout=_TIMEOUT_S))

    def drain(self, device: str, user: str, reason: str) -> Device:
        request = control_pb2.DrainDeviceRequest(device=device, user=user, reason=reason)
        with self._errors():
            return from_message(Device, self._stub.DrainDevice(request, timeout=_TIMEOUT_S))

    def resume(self, device: str) -> Device:
        request = control_pb2.ResumeDeviceRequest(device=device)
        with self._errors():
            return from_message(Device, self._stub.ResumeDevice(request, timeout=_TIMEOUT_S))

    def label(self, device: str, put: dict[str, str], remove: Iterable[str]) -> Device:
        request = control_pb2.LabelDeviceRequest(device=device, put=put, remove=list(remove))
        with self._errors():
            return from_message(Device, self._stub.LabelDevice(request, timeout=_TIMEOUT_S))

    def upgrade(self, device: str, user: str, digest: str) -> Device:
        """Have a device run the agent of the wheel ``digest``, sent with ``put_artifact``; "": take the order back.

        BadInput says why it cannot be.
        """
        request = control_pb2.UpgradeDeviceRequest(device=device, user=user, digest=digest)
        with self._errors():
            return from_message(Device, self._stub.UpgradeDevice(request, timeout=_TIMEOUT_S))
