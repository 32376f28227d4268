"""A program that a command starts, watches and stops, with all that it started itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tvm_farm.tracker.client.errors import FarmError

__all__ = ["Child"]

_LAST_LINES = 15


class Child:
    """One of this distribution's commands, run with this Python or as ``argv`` says; its output goes to ``log``.

    It lives in a session of its own, so that a Ctrl-C meant for us does not end it behind our back.
    """

    def __init__(self, command: str, arguments: list[str], log: Path, argv: Sequence[str] = ()) -> None:
        self.command = command
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*(argv or (sys.executable, "-m", f"tvm_farm.{command}")), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raises FarmError, with the last lines it wrote, when it has ended."""
        code = self._process.poll()
        if code is None:
            return
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        raise FarmError(
            f"`{self.command} start` ended with {how}. It wrote last:\n" + "\n".join(f"  {line}" for line in lines)
        )

    def stop(self, within_s: float = 10.0) -> None:
        """Ask it to end, wait, then kill what is left of its session. Safe to call again."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within_s)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
