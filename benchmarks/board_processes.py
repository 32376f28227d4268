"""Processes full of boards, for as long as they are needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

__all__ = ["board_processes"]


@contextmanager
def board_processes(
    module: str, address: str, count: int, *more: str, processes: int = 1
) -> Iterator[Sequence[subprocess.Popen[str]]]:
    """``count`` boards of ``module``, which is told ADDRESS FIRST COUNT and ``more``, in so many processes; joined.

    Raises RuntimeError when a process ends before it is told to, or otherwise than well.
    """
    share, rest = divmod(count, processes)
    sizes = [share + (n < rest) for n in range(processes) if share + (n < rest)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", module, address, str(sum(sizes[:n])), str(size), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n, size in enumerate(sizes)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "joined":
                raise RuntimeError(f"{module} did not join; what it wrote stands above")
        yield started
        for process in started:
            assert process.stdin is not None
            process.stdin.close()
        for process in started:
            if process.wait(60):
                raise RuntimeError(f"{module} ended with code {process.returncode}; what it wrote stands above")
    finally:
        for process in started:
            process.kill()
            process.wait()
