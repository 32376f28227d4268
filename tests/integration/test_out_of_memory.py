"""A board without memory: the kernel under test goes, as its outcome says; agent and runner stay."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.support import kernels
from tests.support.agent_process import AgentProcess
from tests.support.memory_group import MISSING, MemoryGroup
from tests.support.stand_in_tracker import StandInTracker, make_request
from tests.support.waiting import wait_until
from tvm_farm.protos.measurement import Argument, Outcome

ARGS = (Argument((4,), "float32", fill_seed=1),) * 2


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


@pytest.mark.skipif(MISSING != "", reason=MISSING)
async def test_the_kernel_goes_and_the_agent_stays(tracker: StandInTracker, tmp_path: Path) -> None:
    hungry = tracker.put_artifact(kernels.scratch(600).read_bytes())
    frugal = tracker.put_artifact(kernels.scratch(16).read_bytes())
    options = ("--tracker", tracker.address, "--state", str(tmp_path), "--mode", "micro")
    with MemoryGroup(300) as group:
        async with AgentProcess("start", *options, inside=group.inside) as agent:
            await tracker.joined()
            [runner] = psutil.Process(agent.pid).children()
            for number in range(2):
                tracker.measure(make_request(f"hungry {number}", hungry, args=ARGS))
                report = await tracker.measurement(f"hungry {number}")
                assert (report.outcome, report.signal) == (Outcome.OUT_OF_MEMORY, 0), report.detail
                assert report.detail == "the system killed it for its memory"
            tracker.measure(make_request("frugal", frugal, args=ARGS))
            assert (await tracker.measurement("frugal")).outcome is Outcome.OK
            assert psutil.Process(agent.pid).children() == [runner]
            assert runner.is_running()
            agent.signal(signal.SIGTERM)
            assert await agent.ended() == 0


async def test_a_kernel_that_somebody_kills_has_crashed(tracker: StandInTracker, tmp_path: Path) -> None:
    """SIGKILL without the system's memory killer at work is not called lack of memory."""
    hangs = tracker.put_artifact(kernels.kernel("hang").read_bytes())
    options = ("--tracker", tracker.address, "--state", str(tmp_path), "--mode", "micro")
    async with AgentProcess("start", *options) as agent:
        await tracker.joined()
        tracker.measure(make_request("t", hangs, args=(Argument((4,), "int32", data=bytes(16)),)))
        await tracker.until(lambda: tracker.started() == ["t"])
        [runner] = psutil.Process(agent.pid).children()
        [kernel] = await asyncio.to_thread(wait_until, runner.children, "kernel's process")
        os.kill(kernel.pid, signal.SIGKILL)
        report = await tracker.measurement("t")
        assert (report.outcome, report.signal) == (Outcome.CRASH, signal.SIGKILL)
        assert "look for the system's out-of-memory killer" in report.detail
