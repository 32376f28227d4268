"""TVM's runtime on this board: what is installed, what a tracker sent, and how it comes to match the tracker."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from pathlib import Path

from tvm_farm.agent.artifacts import ArtifactCache, Fetch
from tvm_farm.agent.disk import DiskError, is_disk_fault
from tvm_farm.agent.durable import write_durably
from tvm_farm.agent.errors import ArtifactError, LinkLostError, RunnerUnusableError
from tvm_farm.agent.link import Link
from tvm_farm.agent.runner import NativeRunner, RunnerError, RuntimeLibraries
from tvm_farm.agent.runner.libraries import EXTRA, FFI, RUNTIME
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.protos.measurement import Artifact
from tvm_farm.protos.runtime import Runtime, RuntimeLibrary, RuntimeOffer, RuntimeRequest

__all__ = ["BoardRuntime", "RuntimeFolder"]

log = logging.getLogger("agent")

#: A board that has not all of its runtime by then joins without: it measures in micro mode meanwhile.
_PATIENCE_S = 5.0
#: Several releases' worth: a tracker that goes back to the one before finds it here.
_LIMIT_BYTES = 64 << 20
_OLDER = "the tracker is older than this agent and has no TVM runtime for boards: upgrade the tracker"


class RuntimeFolder:
    """Runtimes that trackers sent, as files named by digest, and which of them was in use last.

    A cache of its own: kernels, however many, never take the room of the runtime.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._last = root.with_suffix(".json")
        self._cache: ArtifactCache | None = None
        self._fetch: Fetch
        self._held: tuple[Artifact, ...] = ()
        self._arrived: dict[str, int] = {}
        #: Gives up a file of another kind where the disk is full; False where there is none.
        self.spare: Callable[[], bool] = lambda: False

    def last(self) -> RuntimeLibraries | None:
        """The runtime used last, if it is still whole; no tracker is needed for it."""
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
        """``runtime`` as files here; what is here already is not fetched.

        Raises ArtifactError, or LinkLostError: what came whole before stays.
        """
        by_digest = {each.artifact.digest: each for each in runtime.libraries}
        self._arrived.clear()

        async def told(digest: str, offset: int) -> AsyncIterator[tuple[int, bytes]]:
            each = by_digest[digest]
            size = (each.artifact.size - offset) / (1 << 20)
            rest = "the rest of " if offset else ""
            log.info("fetching %s%s of TVM %s from the tracker, %.1f MB", rest, each.name, runtime.tvm_version, size)
            async for place, piece in fetch(digest, offset):
                self._arrived[digest] = place + len(piece)
                yield place, piece

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


class BoardRuntime:
    """Keeps ``runner`` at the runtime that fits its tracker: the installed one where it is the same, else its own.

    The runner is started and ``info`` is what it is. ``board`` is what the tracker is asked with, ``installed`` what
    this Python's packages have. ``required``: never in micro mode. ``patience_s``: how long a join waits for a runtime
    that is on its way.
    """

    def __init__(
        self,
        runner: NativeRunner,
        info: RunnerInfo,
        folder: RuntimeFolder,
        board: RuntimeRequest,
        installed: RuntimeLibraries | None,
        *,
        required: bool,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._runner = runner
        self._info = info
        self.folder = folder
        self._board = board
        self._libraries = runner.libraries
        self._installed = installed
        self._required = required
        self._patience_s = patience_s
        #: The runtime on its way, and what brings it.
        self._coming: tuple[Runtime, asyncio.Task[RuntimeLibraries]] | None = None
        #: Called when what was on its way at the last ``agree`` is here, or will not come.
        self.on_arrival: Callable[[], None] = lambda: None
        #: Called when the disk does not take what the tracker has; another ``agree`` may find that it does.
        self.on_disk_error: Callable[[DiskError], None] = lambda error: None

    @property
    def share(self) -> float | None:
        """Of the runtime that is on its way: how much is here, 0..1; None where none is."""
        return self.folder.share(self._coming[0]) if self._coming else None

    async def agree(self, link: Link) -> RunnerInfo:
        """What the runner is once it fits the tracker that ``link`` leads to; to be told in the Join that follows.

        A runtime that takes longer goes on coming: the runner is in micro mode until then, unless that is not wanted.
        Raises LinkLostError, or RunnerUnusableError where micro mode is all there is and not wanted.
        """
        libraries, missing = await self._choose(await link.ask_runtime(self._board), link)
        if libraries != self._libraries:
            missing = await self._equip(libraries) or missing
        if self._info.mode is RunnerMode.FULL:
            return self._info
        if self._required:
            raise RunnerUnusableError(f"--mode full is not possible here: {missing}")
        if missing != self._info.full_mode_missing:
            log.warning("micro mode, kernels only: %s", missing)
        self._info = replace(self._info, full_mode_missing=missing)
        return self._info

    async def _choose(self, offer: RuntimeOffer | None, link: Link) -> tuple[RuntimeLibraries | None, str]:
        """What the runner is to run with; None, and why, for micro mode."""
        if offer is None:
            return self._libraries, _OLDER
        if self._installed is not None and _fits(self._installed, offer):
            return self._installed, ""
        reason = offer.reason
        if offer.runtime is not None:
            try:
                libraries = await self._brought(offer.runtime, link)
                if libraries is not None:
                    return libraries, ""
                reason = "TVM's runtime is on its way from the tracker"
            except LinkLostError:
                raise
            except ArtifactError as error:
                if isinstance(error, DiskError):
                    self.on_disk_error(error)
                reason = f"the TVM runtime of the tracker could not be brought here: {error}"
        return (self._libraries if self._libraries is not None and _fits(self._libraries, offer) else None), reason

    async def _brought(self, runtime: Runtime, link: Link) -> RuntimeLibraries | None:
        """The files of ``runtime``; None while they are on their way. Raises ArtifactError, or LinkLostError."""
        if self._coming is None or self._coming[0] != runtime or not self._coming[1].done():
            await self.stop()  # it came by a link that is no more
            self._coming = runtime, asyncio.create_task(self.folder.bring(runtime, link.fetch))
        task = self._coming[1]
        await asyncio.wait([task], timeout=None if self._required else self._patience_s)
        if not task.done():
            task.add_done_callback(self._arrived)
            return None
        self._coming = None
        return task.result()

    def _arrived(self, task: asyncio.Task[RuntimeLibraries]) -> None:
        """A lost link is told by itself, and the next one begins where this one ended."""
        if task.cancelled() or self._coming is None or self._coming[1] is not task:
            return
        if isinstance(task.exception(), LinkLostError):
            self._coming = None
        else:
            self.on_arrival()

    async def stop(self) -> None:
        """End what brings a runtime; what came of it stays."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming[1].cancel()
            await asyncio.wait([coming[1]])

    async def _equip(self, libraries: RuntimeLibraries | None) -> str:
        """Why the runner does not run with ``libraries``; "" where it does."""
        try:
            self._info = await self._runner.equip(libraries)
        except RunnerError as error:
            if libraries is None:
                raise RunnerUnusableError(str(error)) from error
            self._info, self._libraries = await self._without(), None
            return f"TVM's runtime does not start here: {error}"
        self._libraries = libraries
        if libraries is not None:
            log.info("full mode with TVM %s, threads: %d", libraries.tvm_version, self._info.threads)
        return ""

    async def _without(self) -> RunnerInfo:
        """The runner in micro mode, after a runtime that does not start: the one before does not fit the tracker."""
        try:
            return await self._runner.equip(None)
        except RunnerError as error:
            raise RunnerUnusableError(str(error)) from error


def _fits(libraries: RuntimeLibraries, offer: RuntimeOffer) -> bool:
    """Whether kernels of the tracker run with ``libraries``, which are of known versions."""
    if offer.runtime is None:
        return offer.tvm_version in ("", libraries.tvm_version)
    versions = (offer.runtime.tvm_version, offer.runtime.tvm_ffi_version)
    return (libraries.tvm_version, libraries.tvm_ffi_version) == versions


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
