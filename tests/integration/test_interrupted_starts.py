"""Ctrl-C at any moment of a program's start: the program ends at once, and no traceback tells of it.

The moments are those at which a module is about to be read: each is hit every time, however fast the machine is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.farm_command import environment
from tests.support.waiting import wait_until

PRESSED = """
import os, signal, sys

class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Presses())
sys.argv[0] = {name!r}
from tvm_farm.{package}.cli import {function}
{function}()
"""
FARM = ["jobs", "--tracker", "127.0.0.1:1"]
TRACKER = ["start", "--workers", "0", "--no-mdns", "--host", "127.0.0.1", "--port", "0", "--metrics-port", "0"]
AGENT = ["start", "--tracker", "127.0.0.1:1", "--runner", "synthetic"]


@pytest.mark.parametrize(
    ("arguments", "name", "module"),
    [
        (FARM, "farm", "tvm_farm.tracker.cli.farm_cmd"),
        (FARM, "farm", "click.core"),
        (FARM, "farm", "tvm_farm.tracker.cli.jobs.commands"),
        (FARM, "farm", "grpc"),
        (FARM, "farm", "tvm_farm.tracker.client.farm"),
        (TRACKER, "tracker", "click"),
        (TRACKER, "tracker", "tvm_farm.tracker.cli.server.start"),
        (TRACKER, "tracker", "uvloop"),
        (TRACKER, "tracker", "tvm_farm.tracker.app"),
        (["worker", "--tracker", "127.0.0.1:1"], "tracker", "tvm_farm.tracker.app"),
        (AGENT, "agent", "click"),
        (AGENT, "agent", "tvm_farm.agent.commands.start"),
        (AGENT, "agent", "grpc.aio"),
    ],
)
def test_modules_are_read(arguments: list[str], name: str, module: str, tmp_path: Path) -> None:
    package, function = ("agent", "main") if name == "agent" else ("tracker", name)
    program = PRESSED.format(module=module, name=name, package=package, function=function)
    state = [] if "start" not in arguments else ["--state", str(tmp_path / "state")]
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments, *state],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # Before there is a command, the signal itself ends the process; a shell says 130 of both.
    assert (ended.returncode, ended.stderr) in ((-signal.SIGINT, ""), (130, "\nInterrupted.\n"))
    assert ended.stdout == ""


def heeds_no_interrupt(process: psutil.Process) -> bool:
    """Whether it holds SIGINT back or ignores it, see proc(5)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigBlk", "SigIgn"))]
    return any(mask >> (signal.SIGINT - 1) & 1 for mask in masks)


def test_a_worker_warms_up(tmp_path: Path) -> None:
    pytest.importorskip("tvm")
    log = tmp_path / "log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tvm_farm.tracker", "worker", "--tracker", "127.0.0.1:1"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started, family = psutil.Process(worker.pid), []
    try:
        # multiprocessing's own, and the server that reads TVM: Ctrl-C in a terminal reaches them all.
        family = wait_until(lambda: found if len(found := started.children(recursive=True)) > 1 else None, "its server")
        assert [process.cmdline() for process in family if not heeds_no_interrupt(process)] == []
        os.killpg(worker.pid, signal.SIGINT)
        assert worker.wait(30) == 0
    finally:
        for process in (*family, worker):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        worker.wait()
    lines = log.read_text().splitlines()
    assert [line for line in lines if "the tracker is away" not in line] == []
