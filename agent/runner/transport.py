"""How the runner reaches the machine that executes kernels: files there, a process there, pipes to it."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import Sequence
from pathlib import Path

__all__ = ["LocalTransport", "Process", "Transport"]

Process = asyncio.subprocess.Process


class Transport(typing.Protocol):
    """The same program everywhere; only the way to it differs."""

    async def put(self, path: Path) -> str:
        """Make a local file readable there; its path there. Cheap where it is there already. Raises OSError."""

    async def spawn(self, argv: Sequence[str]) -> Process:
        """Start a program there with its three streams piped to here. Raises OSError."""


class LocalTransport:
    """This machine: files lie where they are."""

    def __init__(self) -> None:
        self._here = Path.cwd()

    async def put(self, path: Path) -> str:
        return str(self._here / path)

    async def spawn(self, argv: Sequence[str]) -> Process:
        pipe = asyncio.subprocess.PIPE
        # A session of its own: Ctrl-C in the agent's terminal lets it drain instead of killing its kernel.
        return await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
