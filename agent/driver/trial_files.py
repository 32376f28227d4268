"""The files of one trial on this board."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tvm_farm.agent.clock import steady_unix_s
from tvm_farm.agent.files.artifacts import ArtifactCache
from tvm_farm.agent.runner import LocalRequest
from tvm_farm.protos.measurement import Artifact, MeasureRequest

__all__ = ["TrialFiles"]


class TrialFiles:
    """The files that one trial needs, held in the cache from ``bring`` to ``release``."""

    def __init__(self, cache: ArtifactCache, request: MeasureRequest) -> None:
        self._cache = cache
        self.request = request
        #: The task that runs ``bring``.
        self.fetching: asyncio.Task[None] | None = None
        #: When all files were here, by agent.clock; 0 before.
        self.received_s = 0.0
        self._held: list[tuple[Artifact, str]] = []
        self._paths: dict[str, Path] = {}

    @property
    def local(self) -> LocalRequest:
        """The trial with its files, once all are here."""
        return LocalRequest(self.request, self._paths[".so"], self._paths.get(".params"))

    async def bring(self) -> None:
        """Bring the files here, and hold them. Raises ArtifactError."""
        program = self.request.program
        for artifact, suffix in ((program.library, ".so"), (program.params, ".params")):
            if artifact is not None:
                self._paths[suffix] = await self._cache.hold(artifact, suffix)
                self._held.append((artifact, suffix))
        self.received_s = steady_unix_s()

    def release(self) -> None:
        """Let go of the files; a ``fetching`` under way is cancelled."""
        if self.fetching is not None:
            self.fetching.cancel()
        while self._held:
            self._cache.release(*self._held.pop())
