"""The machine that executes kernels: this one, or one at the end of a shell."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tvm_farm.agent.disk import disk_fault, is_disk_fault
from tvm_farm.agent.fingerprint import read_fingerprint
from tvm_farm.agent.mirror import Mirror
from tvm_farm.agent.runner import DeviceAwayError, LocalTransport, RunnerError, Transport, open_transport
from tvm_farm.agent.telemetry import TelemetryReader
from tvm_farm.protos.device import CpuCluster, Fingerprint

__all__ = ["Device", "open_device"]


#: Between trials too: an idle device that is another by now says so before the next.
_LOOK_EVERY_S = 2.0


class Device:
    """``arch`` names its runner, None: this process's own. ``root`` is where its /proc and /sys are read."""

    def __init__(
        self,
        fingerprint: Fingerprint,
        transport: Transport,
        root: Path = Path("/"),
        arch: str | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        self.fingerprint = fingerprint
        self.transport = transport
        self.arch = arch
        self._root = root
        self._mirror = mirror
        self._cpus = sorted(os.sched_getaffinity(0))

    def telemetry(self, clusters: Sequence[CpuCluster] | None = None) -> TelemetryReader:
        """Of some of its ``clusters``, by default all."""
        clusters = self.fingerprint.clusters if clusters is None else clusters
        return TelemetryReader(clusters, sys=self._root / "sys", proc=self._root / "proc")

    async def watch(self) -> None:
        """Keep its telemetry fresh until cancelled. Raises DeviceAwayError when it is gone, or as ``check`` does."""
        if self._mirror is not None:
            await self._mirror.watch(self.telemetry().files)
        while True:
            self.check()
            await asyncio.sleep(_LOOK_EVERY_S)

    def check(self) -> None:
        """Raises DeviceAwayError where its CPUs are others than its fingerprint says: one was switched off, or taken
        from us, and what is timed now is another device. Of a distant one nothing is known."""
        if self._mirror is not None:
            return
        # Linux leaves out those that are not active, whatever this process was allowed: sched_getaffinity(2).
        now = sorted(os.sched_getaffinity(0))
        if now != self._cpus:
            raise DeviceAwayError(f"its CPUs are {_list(now)}, and were {_list(self._cpus)}")


def _list(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus))


@asynccontextmanager
async def open_device(via: str, owner: str) -> AsyncIterator[Device]:
    """This machine where ``via`` is "", else the device that it names, for the agent called ``owner``.

    Raises RunnerError where a person has to mend something, DeviceAwayError where the device may come back.
    """
    if not via:
        yield Device(read_fingerprint(), LocalTransport())
        return
    try:
        made = tempfile.TemporaryDirectory(prefix="tvm-farm-device-")
    except OSError as error:
        raise DeviceAwayError(f"{via}: no temporary folder can be made here: {error.strerror}") from error
    with made as folder:
        async with open_transport(via, owner) as transport:
            mirror = Mirror(transport, Path(folder))
            try:
                system = await mirror.look()
            except OSError as error:
                if is_disk_fault(error):
                    raise DeviceAwayError(f"{folder} on this machine: {disk_fault(error)}") from error
                raise RunnerError(f"{transport.name} cannot be read: {error}") from error
            fingerprint = read_fingerprint(root=mirror.root, affinity=mirror.affinity(), system=system)
            yield Device(fingerprint, transport, mirror.root, fingerprint.arch, mirror)
