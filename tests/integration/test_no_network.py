"""The three programs where no network interface is up, as while a board boots: a sentence each, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.farm_command import environment
from tests.support.own_network import missing, without_network

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@contextmanager
def program(*command: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        without_network([sys.executable, "-m", *command]),
        env=environment(PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield running
    finally:
        running.terminate()
        running.communicate(timeout=60)


def said(running: subprocess.Popen[str], until: str) -> str:
    """What it says up to a line with ``until``; all where none has that."""
    assert running.stdout is not None
    lines = []
    for line in running.stdout:
        lines.append(line)
        if until in line:
            break
    return "".join(lines)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "no network interface has an address"),
        (("--mdns-interface", "10.9.9.9"), "no network interface that is up is or has 10.9.9.9"),
    ],
    ids=["any", "one"],
)
def test_farm_ends_with_a_sentence(options: tuple[str, ...], why: str) -> None:
    with program("tvm_farm", *options, "jobs") as farm:
        told = said(farm, until="\0")
        assert farm.wait(60) == 3
    assert told == f"Error: Cannot listen for a tracker by mDNS here: {why}. Name it: --tracker HOST:PORT.\n"


def test_an_agent_waits_for_its_network(tmp_path: Path) -> None:
    with program("tvm_farm.agent", "start", "--runner", "synthetic", "--state", str(tmp_path)) as agent:
        told = said(agent, until="still listening")
        assert "mDNS is not possible here (no network interface has an address)" in told
        assert "Traceback" not in told
        assert agent.poll() is None


def test_a_tracker_serves_its_own_host_and_says_that_nobody_hears_of_it(tmp_path: Path) -> None:
    ports = ("--port", "0", "--metrics-port", "0")
    with program("tvm_farm.tracker", "start", "--workers", "0", "--state", str(tmp_path), *ports) as tracker:
        told = said(tracker, until="farm ")
        assert "no other host reaches this tracker at 127.0.0.1" in told
        assert "Traceback" not in told
