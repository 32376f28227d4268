"""A real agent under what systemd is to it: notifications, the watchdog, the journal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.agent_process import AgentProcess
from tests.support.pipes import PIPE_BYTES, held_by
from tests.support.service_manager import ServiceManager
from tests.support.stand_in_tracker import StandInTracker, make_request
from tests.support.waiting import wait_until
from tvm_farm.agent.service.supervision import Supervision, status_of
from tvm_farm.agent.session.state import Session, Wire
from tvm_farm.protos.program.log import is_journal, to_journal


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


def agent(address: str, state: Path, manager: ServiceManager) -> AgentProcess:
    options = ("--tracker", address, "--state", str(state), "--runner", "synthetic")
    return AgentProcess("start", *options, **manager.environ)


@pytest.mark.parametrize("abstract", [False, True])
async def test_it_is_ready_before_it_has_joined_and_tells_what_it_does(tmp_path: Path, abstract: bool) -> None:
    address = f"@tvm-farm-{uuid.uuid4().hex}" if abstract else str(tmp_path / "notify")
    tracker = StandInTracker()
    await tracker.start()
    await tracker.stop()  # its port is known, and nobody is there: a board whose network is not up yet
    async with ServiceManager(address, 1.0) as manager, agent(tracker.address, tmp_path / "state", manager) as process:
        await manager.hears("READY=1")
        assert not any("joined" in line for line in manager.lines)
        await manager.hears("STATUS=looking for a tracker")
        await tracker.start()
        await manager.hears("STATUS=joined stand-in, idle")
        await manager.hears("WATCHDOG=1", times=3)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        await manager.hears("STOPPING=1")
        await tracker.stop()
    assert [line for line in manager.lines if line == "READY=1"] == ["READY=1"]


async def test_a_loop_that_hangs_misses_its_watchdog(tracker: StandInTracker, tmp_path: Path) -> None:
    """What an agent writes to is a pipe that nobody reads: write(2) does not return, as on a disk that hangs."""
    manager = ServiceManager(tmp_path / "notify", 0.5)
    async with manager, agent(tracker.address, tmp_path / "state", manager) as process:
        await tracker.joined()
        await manager.hears("WATCHDOG=1", times=3)
        request = make_request("t", tracker.put_artifact(os.urandom(200_000), inline=True))
        pipe = tmp_path / "state" / "artifacts" / f"incoming-{request.program.library.digest}.so"
        os.mkfifo(pipe)
        tracker.measure(request)
        await asyncio.to_thread(wait_until, lambda: held_by(pipe) == PIPE_BYTES, "write that fills the pipe")
        await asyncio.sleep(0.1)  # what it said before is heard
        beats = manager.lines.count("WATCHDOG=1")
        await asyncio.sleep(1.0)  # twice the limit
        assert manager.lines.count("WATCHDOG=1") == beats
        process.signal(signal.SIGABRT)  # as systemd does then
        assert await process.ended() == -signal.SIGABRT
        assert "Fatal Python error: Aborted" in process.text
        assert re.search(r"artifacts\.py\", line \d+ in _put", process.text)  # where it hung


async def test_a_socket_that_is_gone_stops_nobody(tracker: StandInTracker, tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1000000"}
    options = ("--tracker", tracker.address, "--state", str(tmp_path / "state"), "--runner", "synthetic")
    async with AgentProcess("start", *options, **environ) as process:
        await tracker.joined()
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0


@pytest.mark.parametrize(
    ("sessions", "line"),
    [
        ({"pi": Session(3)}, "looking for a tracker"),
        ({"pi": Session(3, farm="lab")}, "lost the tracker, looking for it"),
        ({"pi": Session(3, farm="lab", wire=Wire.JOINED)}, "joined lab, idle"),
        ({"pi": Session(3, farm="lab", wire=Wire.JOINED, running="t")}, "joined lab, measuring"),
        (
            {"pi": Session(3, farm="lab", wire=Wire.JOINED, disk_fault="its disk is full")},
            "joined lab, idle, its disk is full",
        ),
        ({"pi": Session(3, refused="wait")}, "refused by the tracker: wait"),
        ({"a72": Session(3), "a53": Session(3)}, "looking for a tracker"),
        (
            {"a72": Session(3), "a53": Session(3, farm="lab", wire=Wire.JOINED)},
            "a72: looking for a tracker; a53: joined lab, idle",
        ),
    ],
)
def test_the_line_for_people(sessions: dict[str, Session], line: str) -> None:
    assert status_of(sessions) == line


async def lines_of(state: Path, journal: str) -> list[str]:
    """What an agent writes that cannot start, to a pipe which is, or is not, the one that ``journal`` names."""
    (state / "file").write_text("")
    reading, writing = os.pipe()
    status = os.fstat(writing)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tvm_farm.agent", "start", "--tracker", "127.0.0.1:1", "--runner", "synthetic"),
        *("--state", str(state / journal), "--log-level", "info"),
        env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}" if journal == "ours" else "1:2"},
        stderr=writing,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        seen = b""
        while b"next try" not in seen:
            seen += await asyncio.to_thread(stream.readline)
    process.kill()
    await process.wait()
    return seen.decode().splitlines()


async def test_the_journal_gets_priorities_and_no_times(tmp_path: Path) -> None:
    ours, other = await lines_of(tmp_path, "ours"), await lines_of(tmp_path, "other")
    assert ours[0].startswith("<6>device ")
    assert any(line.startswith("<4>cannot reach the tracker") for line in ours)
    assert all(re.match(r"\d{4}-\d\d-\d\d .* (INFO|WARNING) ", line) for line in other)


def test_every_line_of_a_message_has_its_priority() -> None:
    assert to_journal("ERROR", "one\ntwo") == "<3>one\n<3>two"
    assert not is_journal({"JOURNAL_STREAM": "1:1"})
    assert not is_journal({})


async def test_what_a_full_socket_did_not_take_is_said_again(tmp_path: Path) -> None:
    """At a boot many services speak at once; one that was never heard to be ready is ended for that."""
    address = str(tmp_path / "notify")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others,
    ):
        systemd.bind(address)
        for end in (systemd, others):
            end.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                others.sendto(b"STATUS=other", address)
        supervision = Supervision({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"})
        supervision.status = lambda: "idle"
        heard: list[str] = []
        with supervision.watching():
            supervision.ready()
            await asyncio.sleep(0)  # the first it says in its loop is not taken, either
            while heard.count("WATCHDOG=1") < 3:
                datagram = await asyncio.get_running_loop().sock_recv(systemd, 8192)
                heard += datagram.decode().split("\n")
    own = [line for line in heard if line != "STATUS=other"]
    assert (own.count("READY=1"), own.count("STATUS=idle"), own[0]) == (1, 1, "READY=1")


async def test_what_a_tracker_says_is_one_line_and_no_order(tmp_path: Path) -> None:
    async with ServiceManager(tmp_path / "notify") as manager:
        supervision = Supervision(manager.environ)
        supervision.status = lambda: "refused by the tracker: no\nSTOPPING=1\r\nMAINPID=1"
        supervision.ready()
        with supervision.watching():
            await manager.hears("STATUS=refused by the tracker: no STOPPING=1 MAINPID=1", times=2)
    assert set(manager.lines) == {"READY=1", "STATUS=refused by the tracker: no STOPPING=1 MAINPID=1"}
