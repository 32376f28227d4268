"""CPUs that are switched off, or taken from the agent, while it runs: it becomes the device that it then is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.agent_process import AgentProcess
from tests.support.stand_in_tracker import StandInTracker, make_request
from tvm_farm.agent.runner import DeviceAwayError, LocalTransport
from tvm_farm.protos.measurement import Outcome, TimingPlan

LONG = TimingPlan(number=1, repeat=1, min_repeat_ms=3000)
CPUS = sorted(os.sched_getaffinity(0))

pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="to take a CPU away needs two, and this process has one")


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


@pytest.mark.parametrize("runner", ["synthetic", "native"])
async def test_it_joins_anew_with_the_cpus_it_has(tracker: StandInTracker, tmp_path: Path, runner: str) -> None:
    options = ("--tracker", tracker.address, "--state", str(tmp_path), "--runner", runner)
    mode = ("--mode", "micro") if runner == "native" else ()
    async with AgentProcess("start", *options, *mode) as agent:
        join = await tracker.joined()
        assert [cpu for cluster in join.fingerprint.clusters for cpu in cluster.cpus] == CPUS
        if runner == "synthetic":
            tracker.measure(make_request("at hand", plan=LONG))
            tracker.measure(make_request("queued"))
            await tracker.until(lambda: tracker.started() == ["at hand"])
        os.sched_setaffinity(agent.pid, CPUS[:1])
        fewer = await tracker.joined(2)
        assert [cpu for cluster in fewer.fingerprint.clusters for cpu in cluster.cpus] == CPUS[:1]
        assert fewer.device_id == join.device_id
        if runner == "native":
            assert (join.runner.threads, fewer.runner.threads) == (len(CPUS), 1)
        said = f"leaves the farm for now: its CPUs are {CPUS[0]}, and were {', '.join(map(str, CPUS))}"
        await agent.says(said)
        # What was timed while that happened belongs to neither device.
        assert tracker.measured() == []
        assert set(tracker.given_back()) == ({"at hand", "queued"} if runner == "synthetic" else set())
        if runner == "synthetic":
            tracker.measure(make_request("at hand"))
            assert (await tracker.measurement("at hand")).outcome is Outcome.OK
        os.sched_setaffinity(agent.pid, CPUS)
        again = await tracker.joined(3)
        assert again.fingerprint == join.fingerprint
        assert "Traceback" not in agent.text


def test_a_device_tells_what_it_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    from tvm_farm.agent.board.device import Device
    from tvm_farm.protos.device import Fingerprint

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    device = Device(Fingerprint(), LocalTransport())
    device.check()
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 3})
    with pytest.raises(DeviceAwayError, match="its CPUs are 0, 1, 3, and were 0, 1, 2, 3"):
        device.check()
