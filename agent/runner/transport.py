"""The way to the machine that executes kernels: files brought there, a process started there, pipes to it."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import Sequence
from pathlib import Path

from tvm_farm.agent.runner.contract import RunnerError

__all__ = ["DeviceAwayError", "LocalTransport", "Process", "Transport"]


class DeviceAwayError(RunnerError):
    """The device, or the way to it, is gone and may come back. The text is one sentence that names the device."""


class Process(typing.Protocol):
    """A program on the device, with its streams carried to here."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None

    @property
    def pid(self) -> int:
        """The id of the process on this machine that is the program, or carries its streams."""

    async def wait(self) -> int:
        """The program's exit status, below zero for a signal. Raises DeviceAwayError where the way to it ended
        first."""

    def kill(self) -> None:
        """End the program, with what it started. Raises ProcessLookupError where it has ended."""


class Transport(typing.Protocol):
    """The way to one device. The program that runs there is the same everywhere."""

    #: The device is this machine: its clock is ours, and a file is there at no cost.
    here: bool

    async def put(self, path: Path) -> str:
        """Make a local file readable on the device; the path there, good until a few more were put.

        Cheap where the file is there already. Raises OSError, DeviceAwayError.
        """

    async def install(self, path: Path, folder: str = "") -> str:
        """Bring a file that stays on the device and may be executed; the path there. Later agents find it.

        Files of one ``folder``, a name that tells their content, lie side by side there under their own names.
        """

    async def spawn(self, argv: Sequence[str]) -> Process:
        """Start a program on the device, with its three streams piped to here. Raises OSError, DeviceAwayError."""


class LocalTransport:
    """This machine as the device: files lie where they are."""

    here = True

    def __init__(self) -> None:
        self._here = Path.cwd()

    async def put(self, path: Path) -> str:
        return str(self._here / path)

    async def install(self, path: Path, folder: str = "") -> str:
        return await self.put(path)

    async def spawn(self, argv: Sequence[str]) -> Process:
        pipe = asyncio.subprocess.PIPE
        # A session of its own: Ctrl-C in the agent's terminal lets it drain instead of killing its kernel.
        return await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
