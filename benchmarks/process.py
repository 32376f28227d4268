"""One benchmark's process and all that it starts: none of it outlives the benchmark."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from json import loads
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from benchmarks.result import Result
from tracker.cli.signals import ignored

__all__ = ["Answer", "Apart", "BenchmarkFailed", "adopt_orphans", "end_orphans", "run_apart", "run_beside"]

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 20.0
_LOOK_EVERY_S = 0.2
_ROOT = Path(__file__).parents[1]


class BenchmarkFailed(Exception):
    """The benchmark broke: how, in one sentence."""


@dataclass(frozen=True)
class Answer:
    results: list[Result]
    series: Any


def adopt_orphans() -> None:
    """Become the parent of what descendants leave behind (Linux), so that it can be found and ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Apart:
    """A benchmark that runs in a session of its own and a throw-away folder; a context, which ends it.

    Whatever way the context is left nothing that it started runs on. ``beside`` says that other benchmarks run at the
    same time: what it left behind without a parent is then found by ``end_orphans`` only. ``command`` stands in for
    the benchmark in tests.
    """

    def __init__(
        self, name: str, *, quick: bool, limit_s: float, command: Sequence[str] | None = None, beside: bool = False
    ) -> None:
        self.name = name
        self._limit_s = limit_s
        self._beside = beside
        self._folder = tempfile.TemporaryDirectory(prefix=f"tvm-farm-bench-{name}-")
        size = ("quick" if quick else "full", "beside" if beside else "alone")
        start = command or [sys.executable, "-m", "benchmarks.one", name, self._folder.name, *size]
        self._process = subprocess.Popen(start, stdin=subprocess.DEVNULL, start_new_session=True, cwd=_ROOT)
        self._deadline_s = time.monotonic() + limit_s
        self._code: int | None = None
        self._content = ""

    def __enter__(self) -> Apart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._code = self._process.poll()
        # A second Ctrl-C would leave processes behind.
        with ignored(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            _end(self._process)
            if not self._beside:
                end_orphans()
        answer = Path(self._folder.name, "answer.json")
        self._content = answer.read_text(encoding="utf-8") if answer.exists() else ""
        self._folder.cleanup()

    def wait(self) -> None:
        """Until it ended or its time is up."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, self._deadline_s - time.monotonic()))

    @property
    def over(self) -> bool:
        """It ended, or its time is up."""
        return self._process.poll() is not None or time.monotonic() >= self._deadline_s

    def answer(self) -> Answer:
        """After its end. Raises BenchmarkFailed when it failed or its time was up."""
        code = self._code
        if code is None:
            raise BenchmarkFailed(f"{self.name} was still running after {self._limit_s:g} s")
        if code != 0:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise BenchmarkFailed(f"{self.name} ended with {how}; what it wrote stands above")
        if not self._content:
            raise BenchmarkFailed(f"{self.name} ended without an answer")
        content = loads(self._content)
        return Answer([Result(**row) for row in content["results"]], content["series"])


def run_apart(name: str, *, quick: bool, limit_s: float, command: Sequence[str] | None = None) -> Answer:
    """Run a benchmark to its end. Raises BenchmarkFailed when it fails or takes longer than ``limit_s``."""
    with Apart(name, quick=quick, limit_s=limit_s, command=command) as apart:
        apart.wait()
    return apart.answer()


def run_beside(lanes: Sequence[Sequence[str]], start: Callable[[str], Apart]) -> Iterator[Apart]:
    """Run the lanes at the same time, each lane's benchmarks one after another; yields each that is over and ended.

    ``start`` makes them, with ``beside``. Whatever way it ends nothing of them runs on.
    """
    left = [deque(lane) for lane in lanes]
    running: dict[int, Apart] = {}
    try:
        while True:
            for number, lane in enumerate(left):
                if number not in running and lane:
                    running[number] = start(lane.popleft()).__enter__()
            if not running:
                return
            time.sleep(_LOOK_EVERY_S)
            for number in [number for number, apart in running.items() if apart.over]:
                apart = running.pop(number)
                apart.__exit__(None, None, None)
                yield apart
    finally:
        with ignored(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for apart in running.values():
                apart.__exit__(None, None, None)
            end_orphans()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the benchmark to end so that it can clean up, then kill what is left of it, each by its pid."""
    started: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        # Not SIGINT: a shell's background jobs, and all that they start, ignore it.
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
    if process.poll() is None:
        process.kill()
    _kill(started)
    process.wait()


def end_orphans() -> None:
    """Kill all that descends from this process. No benchmark may be running."""
    _kill(psutil.Process().children(recursive=True))


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=_PATIENCE_S)
