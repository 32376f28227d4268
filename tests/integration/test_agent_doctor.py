"""``agent doctor`` as a process: every line, with the thing it checks in order and out of order."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_process import AgentProcess
from tests.support.stand_in_tracker import StandInTracker
from tvm_farm.agent.doctor import tracker_checks
from tvm_farm.agent.doctor.check import Check, Verdict
from tvm_farm.agent.settings import Settings
from tvm_farm.protos.discovery import PROTOCOL_VERSION, FoundTracker


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


async def checks(*options: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the checks of ``agent doctor --json`` by name."""
    async with AgentProcess("doctor", "--json", *options) as process:
        code = await process.ended(60)
        answer = json.loads(process.text)
    assert answer["passed"] == (code == 0)
    return code, {check["name"]: check for check in answer["checks"]}


async def test_a_board_that_can_join(tracker: StandInTracker, tmp_path: Path) -> None:
    async with AgentProcess("doctor", "--tracker", tracker.address, "--state", str(tmp_path)) as process:
        assert await process.ended(60) == 0, process.text
        assert process.lines[-1] == "this board can join"
        assert any(line.startswith("✓ tracker: farm stand-in") for line in process.lines)
        assert any(line.startswith("✓ kernel: a tiny kernel runs") for line in process.lines)
        assert not any(line.startswith("✗") for line in process.lines)


@pytest.mark.parametrize("mode", ["micro", "auto"])
async def test_each_mode_runs_the_tiny_kernel(tracker: StandInTracker, tmp_path: Path, mode: str) -> None:
    code, found = await checks("--tracker", tracker.address, "--state", str(tmp_path), "--mode", mode)
    assert code == 0
    assert found["kernel"]["verdict"] == "ok"
    if mode == "micro":
        assert "micro mode" in found["runner"]["said"]
    # Nothing of it stays behind.
    assert set(os.listdir(tmp_path)) == {"lock", "device-id", "device-id.copy"}


async def test_full_mode_without_its_libraries(tracker: StandInTracker, tmp_path: Path) -> None:
    options = ("--tracker", tracker.address, "--state", str(tmp_path / "state"), "--runtime", str(tmp_path))
    code, found = await checks(*options)
    assert code == 1
    assert found["runner"]["verdict"] == "failed"
    assert f"not in {tmp_path}" in found["runner"]["said"]
    assert "kernel" not in found


async def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, found = await checks("--tracker", address, "--state", str(tmp_path))
    assert code == 1
    assert found["tracker port"]["said"] == f"{address}: Connection refused"
    assert "tracker start" in found["tracker port"]["remedy"]
    assert "tracker" not in found


async def test_something_else_listens(tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        code, found = await checks("--tracker", f"127.0.0.1:{port}", "--state", str(tmp_path))
    assert code == 1
    assert found["tracker port"]["verdict"] == "ok"
    assert "does not answer as a tracker" in found["tracker"]["said"]


@pytest.mark.parametrize(("protocol", "who"), [(99, "this agent"), (0, "the tracker")])
async def test_versions_that_do_not_fit(tracker: StandInTracker, tmp_path: Path, protocol: int, who: str) -> None:
    tracker.protocol_version = protocol
    code, found = await checks("--tracker", tracker.address, "--state", str(tmp_path))
    assert code == 1
    assert found["tracker"]["verdict"] == "failed"
    assert found["tracker"]["remedy"] == f"upgrade {who}"


@pytest.mark.own_network
async def test_no_mdns_answer(tmp_path: Path) -> None:
    farm = f"nowhere-{uuid.uuid4().hex[:8]}"
    code, found = await checks("--farm", farm, "--mdns-interface", "127.0.0.1", "--state", str(tmp_path))
    assert code == 1
    assert found["mDNS"]["verdict"] == "failed"
    assert f"no tracker of farm {farm} heard" in found["mDNS"]["said"]
    assert "--tracker HOST:PORT" in found["mDNS"]["remedy"]
    assert "tracker" not in found


async def test_a_state_folder_that_cannot_be_used(tracker: StandInTracker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, found = await checks("--tracker", tracker.address, "--state", str(tmp_path / "file" / "state"))
    assert code == 1
    assert found["state folder"]["verdict"] == "failed"
    assert "--state DIR" in found["state folder"]["remedy"]
    assert found["tracker"]["verdict"] == "ok"


async def test_beside_an_agent_that_runs(tracker: StandInTracker, tmp_path: Path) -> None:
    common = ("--tracker", tracker.address, "--state", str(tmp_path))
    async with AgentProcess("start", *common, "--runner", "synthetic"):
        await tracker.joined()
        code, found = await checks(*common)
    assert code == 0
    assert "in use by an agent that runs now" in found["state folder"]["said"]


async def test_a_tracker_with_several_addresses_is_told_once(
    tracker: StandInTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As mDNS gives them of a host with several networks, one of which does not reach this board."""
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{taken.getsockname()[1]}"
        addresses = (closed, tracker.address, tracker.address.replace("127.0.0.1", "localhost"))

        async def heard(settings: Settings) -> tuple[Check, FoundTracker]:
            return Check("mDNS", Verdict.OK, "heard"), FoundTracker("stand-in", addresses, PROTOCOL_VERSION, "0.1.0")

        monkeypatch.setattr(tracker_checks, "_mdns", heard)
        found = [check async for check in tracker_checks.check_tracker(Settings(state_dir=tmp_path, mode="micro"), [])]
    assert [(check.name, check.verdict) for check in found] == [
        ("mDNS", Verdict.OK),
        ("tracker port", Verdict.HINT),
        ("tracker port", Verdict.OK),
        ("tracker port", Verdict.OK),
        ("tracker", Verdict.OK),
    ]
