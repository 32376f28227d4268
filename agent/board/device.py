"""The machine that executes kernels: this one, or one at the end of a shell."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tvm_farm.agent.board.distant_files import DistantFiles
from tvm_farm.agent.board.fingerprint import read_fingerprint
from tvm_farm.agent.board.telemetry import TelemetryReader
from tvm_farm.agent.files.disk import disk_fault, is_disk_fault
from tvm_farm.agent.runner import DeviceAwayError, LocalTransport, RunnerError, Transport, open_transport
from tvm_farm.protos.device import CpuCluster, Fingerprint

__all__ = ["Device", "open_device"]


#: How often an idle device looks whether it is another by now, and says so before the next trial.
_LOOK_EVERY_S = 2.0


class Device:
    """The machine that executes kernels, with what it is and the way to it.

    ``arch`` names the runner's program; None: that of this process. ``root`` holds the device's /proc and /sys.
    ``distant``: the copy of its files that ``root`` is; None: the device is this machine.
    """

    def __init__(
        self,
        fingerprint: Fingerprint,
        transport: Transport,
        root: Path = Path("/"),
        arch: str | None = None,
        distant: DistantFiles | None = None,
    ) -> None:
        self.fingerprint = fingerprint
        self.transport = transport
        self.arch = arch
        self._root = root
        self._distant = distant
        self._cpus = sorted(os.sched_getaffinity(0))

    def telemetry(self, clusters: Sequence[CpuCluster] | None = None) -> TelemetryReader:
        """A reader of the sensors of ``clusters``, by default all of the device's."""
        clusters = self.fingerprint.clusters if clusters is None else clusters
        return TelemetryReader(clusters, sys=self._root / "sys", proc=self._root / "proc")

    async def watch(self) -> None:
        """Keep the telemetry fresh until cancelled.

        Raises DeviceAwayError when the device is gone, or as ``check`` does.
        """
        if self._distant is not None:
            await self._distant.watch(self.telemetry().files)
        while True:
            self.check()
            await asyncio.sleep(_LOOK_EVERY_S)

    def check(self) -> None:
        """Raises DeviceAwayError where the CPUs are others than the fingerprint says.

        A CPU was switched off, or taken from this process: what is timed now is another device. Of a distant device
        nothing is known.
        """
        if self._distant is not None:
            return
        # Linux leaves out CPUs that are not active, whatever this process was allowed: sched_getaffinity(2).
        now = sorted(os.sched_getaffinity(0))
        if now != self._cpus:
            raise DeviceAwayError(f"its CPUs are {_list(now)}, and were {_list(self._cpus)}")


def _list(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus))


@asynccontextmanager
async def open_device(via: str, owner: str) -> AsyncIterator[Device]:
    """The device that ``via`` names, "" for this machine, opened for the agent called ``owner``.

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
            distant = DistantFiles(transport, Path(folder))
            try:
                system = await distant.look()
            except OSError as error:
                if is_disk_fault(error):
                    raise DeviceAwayError(f"{folder} on this machine: {disk_fault(error)}") from error
                raise RunnerError(f"{transport.name} cannot be read: {error}") from error
            fingerprint = read_fingerprint(root=distant.root, affinity=distant.affinity(), system=system)
            yield Device(fingerprint, transport, distant.root, fingerprint.arch, distant)
