"""Boards cloned from one disk: real agents with copies of one state folder, on machines of their own."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.agent_process import AgentProcess
from tests.support.farm_command import farm
from tests.support.other_machine import MISSING, other_machine
from tests.support.tracker_process import TrackerProcess
from tvm_farm.agent.cli import main

ONE, TWO = "10000000aaaaaaaa", "10000000bbbbbbbb"


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path / "tracker")
    yield process
    process.stop()


@pytest.mark.skipif(MISSING != "", reason=MISSING)
async def test_two_boards_of_one_card(tracker: TrackerProcess, tmp_path: Path) -> None:
    def agent(state: str, machine: list[str]) -> AgentProcess:
        options = ("--tracker", tracker.address, "--state", str(tmp_path / state), "--name", "pi")
        return AgentProcess("start", *options, "--runner", "synthetic", inside=machine)

    first_machine = other_machine(tmp_path / "m1", ONE)
    async with agent("card", first_machine) as made:
        await made.says("joined farm")
    shutil.copytree(tmp_path / "card", tmp_path / "copy")

    async with agent("card", first_machine) as first, agent("copy", other_machine(tmp_path / "m2", TWO)) as second:
        # Whichever comes first; the other is refused, and told so once it is sure.
        refused = await second.says("refuses this agent for now: .* is in use by .*serial|joined farm")
        clone, kept, folder = (second, first, "copy") if "in use" in refused else (first, second, "card")
        await kept.says("joined farm")
        await clone.says("belongs to another machine, .* is its clone: run `agent new-identity` here", within_s=40)
        [device] = tracker.devices()
        assert {device.machine.serial, device.clone.machine.serial} == {ONE, TWO}
        told = await asyncio.to_thread(farm, "devices", "--tracker", tracker.address)
        assert "has a clone" in " ".join(told.stdout.split())
        told = await asyncio.to_thread(farm, "devices", "show", "pi", "--tracker", tracker.address)
        assert "run `agent new-identity` on it" in " ".join(told.stdout.split())

        ended = CliRunner().invoke(main, ["new-identity", "--state", str(tmp_path / folder)])
        assert ended.exit_code == 0, ended.output
        await clone.says("joined farm", within_s=40)
        assert [device.name for device in tracker.devices()] == ["pi", "pi-2"]
        assert not any(device.HasField("clone") for device in tracker.devices())
        assert len([line for line in kept.lines if "joined farm" in line]) == 1
    told = await asyncio.to_thread(farm, "devices", "--json", "--tracker", tracker.address)
    assert len({device["id"] for device in json.loads(told.stdout)}) == 2


@pytest.mark.skipif(MISSING != "", reason=MISSING)
async def test_a_reboot_is_no_clone(tracker: TrackerProcess, tmp_path: Path) -> None:
    options = ("start", "--tracker", tracker.address, "--state", str(tmp_path / "card"), "--runner", "synthetic")
    for boot in ("b1", "b2"):
        async with AgentProcess(*options, inside=other_machine(tmp_path / boot, ONE)) as agent:
            await agent.says("joined farm")
            [device] = tracker.devices()
            assert not device.HasField("clone")
