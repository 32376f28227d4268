"""What a board's installation does, and that of a desk: neither has what the tracker needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.farm_command import farm
from tests.support.installs import OF_CLIENT, OF_TRACKER, without
from tests.support.onnx_like import onnx_like
from tests.support.stand_in_farm import StandInFarm
from tvm_farm.tracker.domain import JobResult, JobState, Pool

ROOT = Path(__file__).parents[2]

#: Also on another system than Linux, as far as imports go.
EVERYTHING_OF_A_DESK = """
import asyncio, importlib, multiprocessing, pkgutil, signal, subprocess, sys
for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGKILL", "SIGWINCH"):
    delattr(signal, name)
import tvm_farm.tracker.cli, tvm_farm.tracker.client
of_tracker = {"tvm_farm.tracker.cli.tracker_cmd"}
for package in (tvm_farm.tracker.cli, tvm_farm.tracker.client):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name not in of_tracker:
            importlib.import_module(module.name)
import tvm_farm
for name in set(tvm_farm.__all__) - {"FarmBuilder", "FarmDatabase", "FarmRunner"}:
    getattr(tvm_farm, name)
"""


@pytest.fixture
def desk(tmp_path: Path) -> str:
    """PYTHONPATH of tvm-farm[client]."""
    return without(tmp_path / "desk", OF_TRACKER)


@pytest.fixture
def board(tmp_path: Path) -> str:
    """PYTHONPATH of tvm-farm alone."""
    return without(tmp_path / "board", OF_TRACKER | OF_CLIENT)


@pytest.fixture
def control() -> Iterator[StandInFarm]:
    with StandInFarm() as control:
        control.pools = [Pool("arm64", {"arch": "aarch64"}, False, (), 0)]
        yield control


def run(path: str, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=60, check=False)


def test_what_the_extras_bring() -> None:
    assert {"rich"} == OF_CLIENT
    assert {"tvm", "tvm_ffi", "numpy", "onnx", "uvloop", "platformdirs", "ziglang"} < OF_TRACKER


def test_everything_of_a_desk_can_be_imported(desk: str) -> None:
    done = run(desk, "-c", EVERYTHING_OF_A_DESK)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_desk_tunes_watches_and_fetches(control: StandInFarm, desk: str, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(onnx_like(40))
    here = {"cwd": tmp_path, "PYTHONPATH": desk, "TVMFARM_TRACKER": control.address}
    submitted = farm("tune", "net.onnx", "--pool", "arm64", "--detach", **here)  # type: ignore[arg-type]
    assert submitted.returncode == 0, submitted.stderr
    job = control.await_job()
    files = (control.put_file("model.so", b"library"), control.put_file("manifest.json", b"{}"))
    control.put_job(replace(job, state=JobState.DONE, result=JobResult(files)))
    watched = farm("jobs", "watch", job.id, "-o", "net", **here)  # type: ignore[arg-type]
    assert (watched.returncode, (tmp_path / "net" / "model.so").read_bytes()) == (0, b"library"), watched.stderr
    for listing in ("devices", "jobs", "pools", "records query", "status", "--help"):
        done = farm(*listing.split(), **here)  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("program", "arguments"),
    [("tracker", ["start"]), ("tracker", ["worker", "--tracker", "127.0.0.1:9"]), ("farm", ["demo"])],
    ids=str,
)
def test_what_a_desk_lacks_is_named_with_its_extra(desk: str, program: str, arguments: list[str]) -> None:
    start = f"import sys; sys.argv[0] = {program!r}; from tvm_farm.tracker.cli import {program}; {program}()"
    done = run(desk, "-c", start, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    said = r"Error: This needs \w+, which is not installed: pip install 'tvm-farm\[tracker\]'\.\n"
    assert re.fullmatch(said, done.stderr), done.stderr


def test_a_board_has_the_agent_and_names_the_desks_extra(control: StandInFarm, board: str) -> None:
    agent = run(board, "-m", "tvm_farm.agent", "--help")
    assert (agent.returncode, agent.stderr) == (0, "")
    tracker = run(board, "-c", "from tvm_farm.tracker.cli import tracker; tracker()", "--help")
    assert (tracker.returncode, tracker.stderr) == (0, "")
    asked = farm("devices", PYTHONPATH=board, TVMFARM_TRACKER=control.address)
    assert asked.returncode == 1
    assert asked.stderr == "Error: This needs rich, which is not installed: pip install 'tvm-farm[client]'.\n"
    listed = farm("--help", PYTHONPATH=board)
    assert (listed.returncode, listed.stderr) == (0, "")
    # A program has no terminal.
    script = f"from tvm_farm import Farm; print(Farm({control.address!r}).status().farm)"
    assert run(board, "-c", script).stdout == "stand-in\n"
