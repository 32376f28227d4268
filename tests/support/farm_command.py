"""The ``farm`` command as a process, on a pipe or on a terminal of its own."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from types import TracebackType

__all__ = ["FarmTerminal", "environment", "farm", "farm_command"]

#: Not by preexec_fn: with that a test's process forks in full, with the threads that gRPC has there.
_OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
_START = "import sys; sys.argv[0] = 'farm'; from tvm_farm.tracker.cli import farm; farm()"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def farm_command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", _START, *arguments]


def environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TVMFARM_", "COLUMNS"))}
    return {**kept, "GRPC_VERBOSITY": "ERROR", "PYTHONPATH": str(Path(__file__).parents[2]), **extra}


def farm(
    *arguments: str, cwd: Path | None = None, timeout_s: float = 90.0, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``farm`` to its end with its output on pipes."""
    return subprocess.run(
        farm_command(*arguments),
        cwd=cwd,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


class FarmTerminal:
    """``farm`` on a pseudo-terminal of ``columns`` x ``rows``: what it writes, and the keys it gets."""

    def __init__(
        self, *arguments: str, cwd: Path | None = None, columns: int = 100, rows: int = 30, **env: str
    ) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._written = b""
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _OWN_TERMINAL, *farm_command(*arguments)],
                cwd=cwd,
                env=environment(TERM="xterm-256color", **env),
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
            )
        finally:
            os.close(slave)

    def __enter__(self) -> FarmTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        """All that was written, without colours and cursor moves."""
        return _ESCAPES.sub("", self._written.decode(errors="replace")).replace("\r", "")

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], timeout_s)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux's way to say that nobody holds the other end any more
            return False
        self._written += data
        return bool(data)

    def await_text(self, pattern: str, timeout_s: float = 60.0) -> re.Match[str]:
        """Read until ``pattern`` was written; fails with all that was written when it never is."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern, self.text)
            if found:
                return found
            left_s = deadline_s - time.monotonic()
            alive = left_s > 0 and self._read(left_s)
            assert alive, f"never wrote {pattern!r}, but:\n{self.text}"

    def press_ctrl_c(self) -> None:
        os.write(self._master, b"\x03")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def await_exit(self, timeout_s: float = 60.0) -> int:
        deadline_s = time.monotonic() + timeout_s
        while self._read(max(0.0, deadline_s - time.monotonic())) and time.monotonic() < deadline_s:
            pass
        return self.process.wait(max(0.1, deadline_s - time.monotonic()))
