"""The machine that executes kernels: this one, or one at the end of a shell."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent.fingerprint import read_fingerprint
from agent.mirror import Mirror
from agent.runner import LocalTransport, RunnerError, Transport, open_transport
from agent.telemetry import TelemetryReader
from protos.device import CpuCluster, Fingerprint

__all__ = ["Device", "open_device"]


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

    def telemetry(self, clusters: Sequence[CpuCluster] | None = None) -> TelemetryReader:
        """Of some of its ``clusters``, by default all."""
        clusters = self.fingerprint.clusters if clusters is None else clusters
        return TelemetryReader(clusters, sys=self._root / "sys", proc=self._root / "proc")

    async def watch(self) -> None:
        """Keep its telemetry fresh until cancelled. Raises DeviceAwayError when it is gone."""
        if self._mirror is None:
            await asyncio.Event().wait()
        else:
            await self._mirror.watch(self.telemetry().files)


@asynccontextmanager
async def open_device(via: str, owner: str) -> AsyncIterator[Device]:
    """This machine where ``via`` is "", else the device that it names, for the agent called ``owner``.

    Raises RunnerError where a person has to mend something, DeviceAwayError where the device may come back.
    """
    if not via:
        yield Device(read_fingerprint(), LocalTransport())
        return
    with tempfile.TemporaryDirectory(prefix="tvm-farm-device-") as folder:
        async with open_transport(via, owner) as transport:
            mirror = Mirror(transport, Path(folder))
            try:
                system = await mirror.look()
            except OSError as error:
                raise RunnerError(f"{transport.name} cannot be read: {error}") from error
            fingerprint = read_fingerprint(root=mirror.root, affinity=mirror.affinity(), system=system)
            yield Device(fingerprint, transport, mirror.root, fingerprint.arch, mirror)
