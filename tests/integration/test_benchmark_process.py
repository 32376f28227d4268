"""A benchmark runs apart: how it fails, and that what it started does not outlive it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.process import BenchmarkFailed, run_apart


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


def test_a_benchmark_that_raises_is_a_failure() -> None:
    with pytest.raises(BenchmarkFailed, match="log ended with exit code 3"):
        run_apart("log", quick=True, limit_s=60, command=python("raise SystemExit(3)"))


def test_a_benchmark_without_an_answer_is_a_failure() -> None:
    with pytest.raises(BenchmarkFailed, match="without an answer"):
        run_apart("log", quick=True, limit_s=60, command=python("pass"))


def test_a_benchmark_that_never_ends_is_a_failure() -> None:
    with pytest.raises(BenchmarkFailed, match=r"still running after 0\.5 s"):
        run_apart("log", quick=True, limit_s=0.5, command=python("import time; time.sleep(600)"))


def test_what_a_benchmark_started_does_not_outlive_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    leaves_a_child = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        f"open({str(told)!r}, 'w').write(str(child.pid))\n"
        "raise SystemExit(1)\n"
    )
    # A process of its own: from here on it is the parent of all orphans among its descendants.
    runs_it = (
        "from benchmarks.process import BenchmarkFailed, adopt_orphans, run_apart\n"
        "adopt_orphans()\n"
        "try:\n"
        f"    run_apart('log', quick=True, limit_s=60, command={python(leaves_a_child)!r})\n"
        "except BenchmarkFailed:\n"
        "    raise SystemExit(7)\n"
    )
    assert subprocess.run(python(runs_it), check=False, timeout=90, cwd=Path(__file__).parents[2]).returncode == 7
    assert not psutil.pid_exists(int(told.read_text()))
