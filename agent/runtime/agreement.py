"""How the runner of a device comes to have the TVM runtime of its tracker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from tvm_farm.agent.errors import ArtifactError, LinkLostError, RunnerUnusableError
from tvm_farm.agent.files.disk import DiskError
from tvm_farm.agent.link.link import Link
from tvm_farm.agent.runner import NativeRunner, RunnerError, RuntimeLibraries
from tvm_farm.agent.runtime.folder import RuntimeFolder
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.protos.runtime import Runtime, RuntimeOffer, RuntimeRequest

__all__ = ["RuntimeAgreement"]

log = logging.getLogger("agent")

#: How long a join waits for a runtime that is on its way. After that the board joins without, in micro mode.
_JOIN_WAITS_S = 5.0
_OLDER = "the tracker is older than this agent and has no TVM runtime for boards: upgrade the tracker"


class RuntimeAgreement:
    """Keeps ``runner`` at the runtime that fits its tracker: the installed one where that fits, else the tracker's.

    ``runner`` is started, and ``info`` says what it is. ``board`` is what the tracker is asked with, ``installed`` what
    this Python's packages have. ``required``: micro mode is not wanted. ``join_waits_s``: how long a join waits for a
    runtime that is on its way.
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
        join_waits_s: float = _JOIN_WAITS_S,
    ) -> None:
        self._runner = runner
        self._info = info
        self.folder = folder
        self._board = board
        self._libraries = runner.libraries
        self._installed = installed
        self._required = required
        self._join_waits_s = join_waits_s
        #: The runtime on its way, and the task that brings it.
        self._coming: tuple[Runtime, asyncio.Task[RuntimeLibraries]] | None = None
        #: Called when the runtime that was on its way at the last ``agree`` is here, or will not come.
        self.on_arrival: Callable[[], None] = lambda: None
        #: Called when the disk does not take the tracker's runtime; another ``agree`` may find that it does.
        self.on_disk_error: Callable[[DiskError], None] = lambda error: None

    @property
    def share(self) -> float | None:
        """How much of the runtime that is on its way is here, 0..1; None where none is on its way."""
        return self.folder.share(self._coming[0]) if self._coming else None

    async def agree(self, link: Link) -> RunnerInfo:
        """What the runner is, for the Join that follows, once it fits the tracker that ``link`` leads to.

        A runtime that takes longer goes on coming: the runner is in micro mode until then, unless that is not wanted.
        Raises LinkLostError, or RunnerUnusableError where micro mode is not wanted and nothing else is possible.
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
            await self.stop()  # the link by which it came is no more
            self._coming = runtime, asyncio.create_task(self.folder.bring(runtime, link.fetch))
        task = self._coming[1]
        await asyncio.wait([task], timeout=None if self._required else self._join_waits_s)
        if not task.done():
            task.add_done_callback(self._arrived)
            return None
        self._coming = None
        return task.result()

    def _arrived(self, task: asyncio.Task[RuntimeLibraries]) -> None:
        """The runtime is here, or does not come, after the join went on without it.

        A lost link is told by itself, and the next link begins where this one ended.
        """
        if task.cancelled() or self._coming is None or self._coming[1] is not task:
            return
        if isinstance(task.exception(), LinkLostError):
            self._coming = None
        else:
            self.on_arrival()

    async def stop(self) -> None:
        """End the task that brings a runtime. What came so far stays."""
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
