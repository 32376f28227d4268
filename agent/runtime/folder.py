"""Runtimes that trackers sent, on this board's disk."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path

from tvm_farm.agent.errors import ArtifactError
from tvm_farm.agent.files.artifacts import ArtifactCache, Fetch
from tvm_farm.agent.files.disk import DiskError, is_disk_fault
from tvm_farm.agent.files.durable import write_durably
from tvm_farm.agent.runner import RuntimeLibraries
from tvm_farm.agent.runner.libraries import EXTRA, FFI, RUNTIME
from tvm_farm.protos import quantities
from tvm_farm.protos.measurement import Artifact
from tvm_farm.protos.runtime import Runtime, RuntimeLibrary

__all__ = ["RuntimeFolder"]

log = logging.getLogger("agent")

#: The room for several releases: a tracker that goes back to the one before finds it here.
_LIMIT_BYTES = 64 << 20


class RuntimeFolder:
    """Runtimes that trackers sent, as files named by digest, and which of them was in use last.

    The cache is not that of kernels, which, however many, never take the room of the runtime.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._last = root.with_suffix(".json")
        self._cache: ArtifactCache | None = None
        self._fetch: Fetch
        self._held: tuple[Artifact, ...] = ()
        self._arrived: dict[str, int] = {}
        #: Gives up a file of another kind where the disk is full. False where there is none to give up.
        self.spare: Callable[[], bool] = lambda: False

    def last(self) -> RuntimeLibraries | None:
        """The runtime used last, where its files are whole still. No tracker is asked."""
        try:
            runtime = _runtime_of(json.loads(self._last.read_text()))
            paths = {each.name: self._root / f"{each.artifact.digest}.so" for each in runtime.libraries}
            for each in runtime.libraries:
                if hashlib.sha256(paths[each.name].read_bytes()).hexdigest() != each.artifact.digest:
                    return None
            return _libraries(runtime, paths)
        except (OSError, ValueError, KeyError, TypeError, ArtifactError):
            return None  # none yet, or the board lost power over it: the tracker sends it again

    async def bring(self, runtime: Runtime, fetch: Fetch) -> RuntimeLibraries:
        """``runtime`` as files here. Files that are here already are not fetched.

        Raises ArtifactError, or LinkLostError; what came before stays.
        """
        by_digest = {each.artifact.digest: each for each in runtime.libraries}
        self._arrived.clear()

        async def told(digest: str, offset: int) -> AsyncIterator[tuple[int, bytes]]:
            each = by_digest[digest]
            left = quantities.size(each.artifact.size - offset)
            rest = "the rest of " if offset else ""
            log.info("fetching %s%s of TVM %s from the tracker, %s", rest, each.name, runtime.tvm_version, left)
            async for position, piece in fetch(digest, offset):
                self._arrived[digest] = position + len(piece)
                yield position, piece

        self._fetch = told
        if self._cache is None:
            self._cache = ArtifactCache(
                self._root, _LIMIT_BYTES, lambda *which: self._fetch(*which), spare=lambda: self.spare(), durable=True
            )
        held, paths = [], {}
        try:
            for each in runtime.libraries:
                paths[each.name] = await self._cache.hold(each.artifact, ".so")
                held.append(each.artifact)
                self._arrived[each.artifact.digest] = each.artifact.size
            libraries = _libraries(runtime, paths)
            self._remember(runtime)
        except BaseException:
            self._release(held)
            raise
        self._release(self._held)
        self._held = tuple(held)
        return libraries

    def share(self, runtime: Runtime) -> float:
        """How much of ``runtime``, which is being brought, is here: 0..1."""
        return sum(self._arrived.values()) / max(1, sum(each.artifact.size for each in runtime.libraries))

    def _release(self, artifacts: tuple[Artifact, ...] | list[Artifact]) -> None:
        assert self._cache is not None
        for artifact in artifacts:
            self._cache.release(artifact, ".so")

    def _remember(self, runtime: Runtime) -> None:
        told = json.dumps(asdict(runtime), default=lambda _: None).encode()
        try:
            if self._last.read_bytes() == told:
                return
        except OSError:  # none yet
            pass
        try:
            write_durably(self._last, told)
        except OSError as error:
            kind = DiskError(f"{self._last} cannot be written", error) if is_disk_fault(error) else None
            raise kind or ArtifactError(f"{self._last} cannot be written: {error.strerror}") from error


def _libraries(runtime: Runtime, paths: dict[str, Path]) -> RuntimeLibraries:
    if missing := [name for name in (FFI, RUNTIME) if name not in paths]:
        raise ArtifactError(f"the tracker's runtime has no {missing[0]}")
    return RuntimeLibraries(paths[FFI], paths[RUNTIME], paths.get(EXTRA), runtime.tvm_version, runtime.tvm_ffi_version)


def _runtime_of(plain: dict[str, object]) -> Runtime:
    """What ``_remember`` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    libraries = plain["libraries"]
    if not isinstance(libraries, list):
        raise ValueError("libraries")
    pairs = [(each["name"], Artifact(each["artifact"]["digest"], each["artifact"]["size"])) for each in libraries]
    return Runtime(
        tvm_version=str(plain["tvm_version"]),
        tvm_ffi_version=str(plain["tvm_ffi_version"]),
        libraries=tuple(RuntimeLibrary(name, artifact) for name, artifact in pairs),
    )
