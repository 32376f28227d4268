"""A benchmark runs apart: how it fails, and that what it started does not outlive it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
#: A process of its own: it ends all that it has, and is the parent of all orphans among its descendants.
RUNS_IT = """
import sys
from benchmarks.process import BenchmarkFailed, adopt_orphans, run_apart

adopt_orphans()
try:
    run_apart("log", quick=True, limit_s=float(sys.argv[1]), command=[sys.executable, "-c", sys.argv[2]])
except BenchmarkFailed as failure:
    raise SystemExit(f"failed: {failure}")
"""


def failure_of(source: str, limit_s: float = 60) -> str:
    command = [sys.executable, "-c", RUNS_IT, str(limit_s), source]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=90, cwd=ROOT, check=False)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    ("source", "limit_s", "said"),
    [
        ("raise SystemExit(3)", 60, "log ended with exit code 3"),
        ("pass", 60, "without an answer"),
        ("import time; time.sleep(600)", 0.5, "still running after 0.5 s"),
    ],
    ids=["raises", "without an answer", "never ends"],
)
def test_how_it_fails(source: str, limit_s: float, said: str) -> None:
    assert said in failure_of(source, limit_s)


def test_what_a_benchmark_started_does_not_outlive_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    leaves_a_child = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        f"open({str(told)!r}, 'w').write(str(child.pid))\n"
        "raise SystemExit(1)\n"
    )
    assert "failed: log ended with exit code 1" in failure_of(leaves_a_child)
    assert not psutil.pid_exists(int(told.read_text()))
