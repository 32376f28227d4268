"""A board and a tracker that offers it TVM's runtime, without processes and sockets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tvm_farm.agent.errors import LinkLostError
from tvm_farm.agent.runner import RunnerError, RuntimeLibraries
from tvm_farm.agent.runtime.agreement import RuntimeAgreement
from tvm_farm.agent.runtime.folder import RuntimeFolder
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.protos.measurement import Artifact
from tvm_farm.protos.runtime import Runtime, RuntimeLibrary, RuntimeOffer, RuntimeRequest

__all__ = ["NAMES", "ScriptedRunner", "Tracker", "agree", "board", "installed"]

ASKS = RuntimeRequest("aarch64", "glibc 2.36")
NAMES = ("libtvm_ffi.so", "libtvm_runtime.so", "libtvm_runtime_extra.so")


class Tracker:
    """A link to a tracker that offers ``offer`` and has ``files``; ``fetched`` is what was asked of it."""

    def __init__(self, version: str = "1.0") -> None:
        self.files: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.slow_at = ""
        self.slow, self.hurry = asyncio.Event(), asyncio.Event()
        self.offer: RuntimeOffer | None = RuntimeOffer(self.runtime(version), tvm_version=version)
        #: The link is lost when this artifact is asked for.
        self.lost_at = ""

    def runtime(self, version: str, names: tuple[str, ...] = NAMES) -> Runtime:
        libraries = []
        for name in names:
            data = f"{name} {version}".encode()
            digest = hashlib.sha256(data).hexdigest()
            self.files[digest] = data
            libraries.append(RuntimeLibrary(name, Artifact(digest, len(data))))
        return Runtime("aarch64", "glibc 2.28", version, f"ffi {version}", tuple(libraries))

    def digest(self, name: str) -> str:
        assert self.offer is not None
        assert self.offer.runtime is not None
        return next(each.artifact.digest for each in self.offer.runtime.libraries if each.name == name)

    async def ask_runtime(self, request: RuntimeRequest) -> RuntimeOffer | None:
        assert request == ASKS
        return self.offer

    async def fetch(self, digest: str, offset: int) -> AsyncIterator[tuple[int, bytes]]:
        self.fetched.append(digest)
        if self.slow_at == digest:
            self.slow.set()
            await self.hurry.wait()
        yield offset, self.files[digest][offset : offset + 3]
        if digest == self.lost_at:
            raise LinkLostError("the cable was pulled")
        yield offset + 3, self.files[digest][offset + 3 :]


class ScriptedRunner:
    """Is equipped with whatever it is given, unless ``refuses`` its version."""

    def __init__(self, libraries: RuntimeLibraries | None) -> None:
        self.libraries = libraries
        self.refuses = ""
        self.equipped: list[RuntimeLibraries | None] = []

    def info(self) -> RunnerInfo:
        version = self.libraries.tvm_version if self.libraries else ""
        return RunnerInfo(RunnerMode.FULL if self.libraries else RunnerMode.MICRO, tvm_version=version, threads=4)

    async def equip(self, libraries: RuntimeLibraries | None) -> RunnerInfo:
        if libraries is not None and libraries.tvm_version == self.refuses:
            raise RunnerError("libstdc++.so.6: cannot open shared object file")
        self.libraries = libraries
        self.equipped.append(libraries)
        return self.info()


def board(
    folder: Path,
    *,
    runs: RuntimeLibraries | None = None,
    installed: RuntimeLibraries | None = None,
    required: bool = False,
    join_waits_s: float = 60.0,
) -> tuple[RuntimeAgreement, ScriptedRunner]:
    runner = ScriptedRunner(runs or installed)
    runtime: Any = runner
    kept = RuntimeFolder(folder / "runtime")
    agreement = RuntimeAgreement(
        runtime, runner.info(), kept, ASKS, installed, required=required, join_waits_s=join_waits_s
    )
    return agreement, runner


def installed(version: str, ffi: str = "") -> RuntimeLibraries:
    return RuntimeLibraries(Path("/lib/ffi"), Path("/lib/runtime"), None, version, ffi or f"ffi {version}")


async def agree(runtime: RuntimeAgreement, tracker: Tracker) -> RunnerInfo:
    link: Any = tracker
    return await runtime.agree(link)
