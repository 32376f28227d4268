"""One benchmark's process and all that it starts: none of it outlives the benchmark."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import Any

import psutil

from benchmarks.result import Result
from tvm_farm.tracker.cli.terminal.signals import ignored

__all__ = ["Answer", "BenchmarkFailed", "adopt_orphans", "run_apart"]

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 20.0
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


def run_apart(
    name: str, *, quick: bool, limit_s: float, shared: Path | None = None, command: Sequence[str] | None = None
) -> Answer:
    """Run a benchmark in a session of its own and a throw-away folder.

    Raises BenchmarkFailed when it fails or takes longer than ``limit_s``. Whatever way it ends, also by
    KeyboardInterrupt here, nothing that it started runs on. ``shared``: see ``benchmarks.one``. ``command`` stands in
    for the benchmark in tests.
    """
    with tempfile.TemporaryDirectory(prefix=f"tvm-farm-bench-{name}-") as folder:
        start = command or [sys.executable, "-m", "benchmarks.one", name, folder, "quick" if quick else "full"]
        if shared is not None:
            start = [*start, str(shared)]
        process = subprocess.Popen(start, stdin=subprocess.DEVNULL, start_new_session=True, cwd=_ROOT)
        try:
            code = process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise BenchmarkFailed(f"{name} was still running after {limit_s:g} s") from None
        finally:
            # A second Ctrl-C would leave processes behind.
            with ignored(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                _end(process)
        answer = Path(folder, "answer.json")
        if code != 0:
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            raise BenchmarkFailed(f"{name} ended with {how}; what it wrote stands above")
        if not answer.exists():
            raise BenchmarkFailed(f"{name} ended without an answer")
        content = loads(answer.read_text(encoding="utf-8"))
        return Answer([Result(**row) for row in content["results"]], content["series"])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the benchmark to end so that it can clean up, then kill what is left of it, each by its pid."""
    if process.poll() is None:
        # Not SIGINT: a shell's background jobs, and all that they start, ignore it.
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
    left = psutil.Process().children(recursive=True)
    for child in left:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(left, timeout=_PATIENCE_S)
    process.wait()
