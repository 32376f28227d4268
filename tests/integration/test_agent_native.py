"""``agent start`` with the native runner: real kernels, real processes, and what they weigh."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.support.agent_process import AgentProcess
from tests.support.stand_in_tracker import StandInTracker
from tvm_farm.agent.runner.probe_kernel import PROBE_ENTRY, find_probe_kernel
from tvm_farm.protos.farm.v1 import device_pb2
from tvm_farm.protos.measurement import Argument, MeasureRequest, Outcome, Program, ProgramKind, TimingPlan

SOURCE = struct.pack("<4f", 1.0, 2.0, 3.0, 4.0)
PLAN = TimingPlan(number=10, repeat=3)


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


def agent(tracker: StandInTracker, state: Path, *more: str) -> AgentProcess:
    return AgentProcess("start", "--tracker", tracker.address, "--state", str(state), *more)


def add_one(
    tracker: StandInTracker, trial: str, *, entry: str = PROBE_ENTRY, plan: TimingPlan = PLAN
) -> MeasureRequest:
    """A trial of the kernel that adds one to four numbers, its library fetched by digest."""
    library = tracker.put_artifact(find_probe_kernel().read_bytes())
    args = (Argument((4,), "float32", data=SOURCE), Argument((4,), "float32", data=bytes(16)))
    return MeasureRequest(trial, Program(ProgramKind.KERNEL, library, entry, args, outputs=(1,)), plan)


@pytest.mark.parametrize("mode", ["micro", "auto"])
async def test_a_kernel_runs_and_its_result_comes_back(tracker: StandInTracker, tmp_path: Path, mode: str) -> None:
    async with agent(tracker, tmp_path, "--mode", mode, "--threads", "1"):
        join = await tracker.joined()
        assert join.runner.threads == 1
        assert list(join.runner.target_kinds) == ["llvm"]
        if mode == "micro":
            assert join.runner.mode == device_pb2.RUNNER_MODE_MICRO
        assert "synthetic" not in join.labels
        for number in range(3):
            tracker.measure(add_one(tracker, f"trial {number}"))
        await tracker.until(lambda: tracker.measured() == ["trial 0", "trial 1", "trial 2"])
        measured = await tracker.measurement("trial 0")
        assert measured.outcome is Outcome.OK, measured.detail
        assert struct.unpack("<4f", measured.outputs[0].data) == (2.0, 3.0, 4.0, 5.0)
        assert len(measured.run_secs) == 3
        assert all(0 < secs < 0.1 for secs in measured.run_secs)
        assert len(tracker.fetched) == 1
        tracker.measure(add_one(tracker, "nowhere", entry="nowhere"))
        failed = await tracker.measurement("nowhere")
        assert failed.outcome is Outcome.RUN_ERROR
        assert "nowhere" in failed.detail


async def test_agent_and_runner_stay_small(tracker: StandInTracker, tmp_path: Path) -> None:
    async with agent(tracker, tmp_path) as process:
        await tracker.joined()
        for number in range(20):
            tracker.measure(add_one(tracker, str(number)))
            await tracker.measurement(str(number))
        me = psutil.Process(process.pid)
        family = [me, *me.children(recursive=True)]
        assert len(family) >= 2
        assert sum(member.memory_info().rss for member in family) < 60 << 20
        loaded = {Path(region.path).name for region in me.memory_maps() if region.path.endswith(".so")}
        assert not [name for name in loaded if "tvm" in name or "numpy" in name or "multiarray" in name]


async def test_agent_and_runner_give_way_to_kernels(tracker: StandInTracker, tmp_path: Path) -> None:
    slow = TimingPlan(number=1, repeat=1, min_repeat_ms=2000)
    async with agent(tracker, tmp_path) as process:
        await tracker.joined()
        [runner] = psutil.Process(process.pid).children()
        tracker.measure(add_one(tracker, "slow", plan=slow))
        kernel: list[psutil.Process] = []
        deadline = time.monotonic() + 20
        while not (kernel := runner.children()) or os.sched_getscheduler(kernel[0].pid) != os.SCHED_OTHER:
            assert time.monotonic() < deadline, "no kernel runs with the usual priority"
            await asyncio.sleep(0.01)
        assert {os.sched_getscheduler(each) for each in (process.pid, runner.pid)} == {os.SCHED_BATCH}
        assert (await tracker.measurement("slow")).outcome is Outcome.OK


async def test_a_runner_that_is_killed_costs_nothing(tracker: StandInTracker, tmp_path: Path) -> None:
    slow = TimingPlan(number=1, repeat=1, min_repeat_ms=1000)
    async with agent(tracker, tmp_path) as process:
        await tracker.joined()
        tracker.measure(add_one(tracker, "hit", plan=slow))
        tracker.measure(add_one(tracker, "next"))
        await tracker.until(lambda: tracker.started() == ["hit"])
        psutil.Process(process.pid).children()[0].kill()
        assert (await tracker.measurement("hit")).outcome is Outcome.OK
        assert (await tracker.measurement("next")).outcome is Outcome.OK


async def test_an_agent_that_is_killed_leaves_nothing_behind(tracker: StandInTracker, tmp_path: Path) -> None:
    endless = TimingPlan(number=1, repeat=1, min_repeat_ms=9000)
    async with agent(tracker, tmp_path) as process:
        first = await tracker.joined()
        tracker.measure(add_one(tracker, "endless", plan=endless))
        await tracker.until(lambda: tracker.started() == ["endless"])
        orphans = psutil.Process(process.pid).children(recursive=True)
        assert orphans
        process.signal(signal.SIGKILL)
        await process.ended()
    _, alive = await asyncio.to_thread(psutil.wait_procs, orphans, 10)
    assert alive == []
    async with agent(tracker, tmp_path):
        again = await tracker.joined(times=2)
        assert again.device_id == first.device_id


async def test_ctrl_c_reaches_the_agent_alone(tracker: StandInTracker, tmp_path: Path) -> None:
    """A terminal signals the whole process group: the kernel at hand must not die of it."""
    slow = TimingPlan(number=1, repeat=1, min_repeat_ms=1000)
    async with agent(tracker, tmp_path) as process:
        await tracker.joined()
        tracker.measure(add_one(tracker, "at hand", plan=slow))
        await tracker.until(lambda: tracker.started() == ["at hand"])
        os.killpg(os.getpgid(process.pid), signal.SIGINT)
        assert (await tracker.measurement("at hand")).outcome is Outcome.OK
        assert await process.ended() == 0
