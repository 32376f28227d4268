"""A real ``agent`` process, its words, and its end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

__all__ = ["AgentProcess", "without_tvm"]

_ROOT = Path(__file__).parents[2]


def without_tvm(folder: Path) -> dict[str, str]:
    """The environment of a Python without TVM: empty packages of its names hide the installed ones."""
    for package in ("tvm", "tvm_ffi"):
        (folder / package).mkdir(parents=True, exist_ok=True)
        (folder / package / "__init__.py").touch()
    return {"PYTHONPATH": f"{folder}:{_ROOT}"}


class AgentProcess:
    """``async with AgentProcess("start", …) as agent``: started on entry, killed on exit if it still runs.

    ``inside``: a command line that ends by executing the one that it is given. ``cwd`` is what Python looks for the
    agent in first; the tests' own where it is None.
    """

    def __init__(self, *arguments: str, inside: Sequence[str] = (), cwd: Path | None = None, **environ: str) -> None:
        self._inside = inside
        self._arguments = arguments
        self._cwd = cwd
        #: Of its own: one that is killed leaves there what it had.
        self._temporary = tempfile.TemporaryDirectory(prefix="agent-")
        path = f"{_ROOT}:{os.environ.get('PYTHONPATH', '')}"
        self._environ = {**os.environ, "PYTHONPATH": path, "TMPDIR": self._temporary.name, **environ}
        self.lines: list[str] = []
        self._said = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AgentProcess:
        self._process = await asyncio.create_subprocess_exec(
            *self._inside,
            sys.executable,
            "-m",
            "tvm_farm.agent",
            *self._arguments,
            cwd=self._cwd,
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a group of its own, which a test may signal as a terminal does
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._reading is not None
        if self._process.returncode is None:
            self._process.kill()
        code = await self._process.wait()
        await self._reading
        with self._temporary:
            left = os.listdir(self._temporary.name)
        if kind is not None:
            print(self.text)  # which pytest shows of a test that failed
        else:
            assert code == -signal.SIGKILL or not left, f"it left behind {left}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self, within_s: float = 20.0) -> int:
        """The exit code, when it has ended and all that it wrote was read."""
        assert self._process is not None
        assert self._reading is not None
        try:
            code = await asyncio.wait_for(self._process.wait(), within_s)
        except asyncio.TimeoutError:
            raise AssertionError(f"still runs after {within_s} s:\n{self.text}") from None
        await self._reading
        return code

    async def says(self, pattern: str, within_s: float = 20.0, times: int = 1) -> str:
        """The first line, written already or yet to come, in which ``pattern`` is found for the ``times``-th time."""

        async def wait() -> str:
            async with self._said:
                while True:
                    found = [line for line in self.lines if re.search(pattern, line)]
                    if len(found) >= times:
                        return found[times - 1]
                    await self._said.wait()

        try:
            return await asyncio.wait_for(wait(), within_s)
        except asyncio.TimeoutError:
            raise AssertionError(f"{pattern!r} was not said within {within_s} s:\n{self.text}") from None

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(line.decode().rstrip())
            async with self._said:
                self._said.notify_all()
