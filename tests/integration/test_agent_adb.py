"""``agent start --via adb:…``: devices of other architectures, with emulated processors and real kernels."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support import kernels
from tests.support.agent_process import AgentProcess
from tests.support.board_trees import two_of_an_rk3399
from tests.support.phone import ARMV7, RISCV64, Architecture, Phone
from tests.support.stand_in_tracker import StandInTracker
from tests.support.unlike_cores import big, little
from tvm_farm.protos.farm.v1 import device_pb2, fleet_pb2
from tvm_farm.protos.measurement import Argument, MeasureRequest, Outcome, Program, ProgramKind, TimingPlan

SIZE = 64
SHORT = TimingPlan(number=1, repeat=3)
ENDLESS = TimingPlan(number=1, repeat=1, min_repeat_ms=9000)


@pytest.fixture(
    params=[
        pytest.param(each, marks=pytest.mark.skipif(bool(each.missing), reason=each.missing), id=each.machine)
        for each in (ARMV7, RISCV64)
    ]
)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    found: Architecture = request.param
    return found


@pytest.fixture
def phone(architecture: Architecture, tmp_path: Path) -> Phone:
    folder = tmp_path / "device"
    folder.mkdir()
    return Phone(folder, architecture)


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


def agent(tracker: StandInTracker, phone: Phone, state: Path, *more: str) -> AgentProcess:
    options = ("--tracker", tracker.address, "--state", str(state / "state"), "--via", phone.via, *more)
    return AgentProcess("start", *options, PATH=phone.path)


def matmul(tracker: StandInTracker, trial: str, arch: str, plan: TimingPlan = SHORT) -> MeasureRequest:
    library = tracker.put_artifact(kernels.matmul(SIZE, arch=arch).read_bytes())
    args = tuple(Argument((SIZE, SIZE), "float32", fill_seed=seed) for seed in (1, 2, 3))
    return MeasureRequest(trial, Program(ProgramKind.KERNEL, library, "main", args, outputs=(2,)), plan)


async def answers_right(tracker: StandInTracker, trial: str, arch: str) -> None:
    tracker.measure(matmul(tracker, trial, arch))
    measured = await tracker.measurement(trial)
    assert measured.outcome is Outcome.OK, measured.detail
    product = np.frombuffer(measured.outputs[0].data, "float32").reshape(SIZE, SIZE)
    left, right = (kernels.splitmix_uniform(seed, (SIZE, SIZE)) for seed in (1, 2))
    np.testing.assert_allclose(product, left @ right, rtol=1e-5)
    assert len(measured.run_secs) == 3


def tells_of_the_device(join: fleet_pb2.Join, architecture: Architecture) -> None:
    assert join.fingerprint.arch == architecture.machine
    [cluster] = join.fingerprint.clusters
    if architecture is ARMV7:
        assert cluster.name == "Cortex-A72"
        assert join.fingerprint.board_model == "Raspberry Pi 4 Model B Rev 1.4"
        assert join.fingerprint.os == "Raspbian GNU/Linux 12 (bookworm)"
        assert join.telemetry.temperature_c == pytest.approx(61.342)
        assert list(join.telemetry.frequency_khz) == [1_000_000]
    else:
        assert cluster.name == "sifive,u74-mc"


async def test_a_kernel_for_the_device_runs_there(
    tracker: StandInTracker, phone: Phone, architecture: Architecture, tmp_path: Path
) -> None:
    async with agent(tracker, phone, tmp_path) as process:
        join = await tracker.joined()
        assert join.name == phone.via.partition(":")[2]
        assert join.runner.mode == device_pb2.RUNNER_MODE_MICRO
        tells_of_the_device(join, architecture)
        await answers_right(tracker, "one", architecture.machine)
        if architecture is ARMV7:
            (phone.root / "sys/class/thermal/thermal_zone0/temp").write_text("70000\n")
            await tracker.until(lambda: any(beat.telemetry.temperature_c == 70.0 for beat in tracker.all("heartbeat")))
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert phone.processes() == []
    assert [path.name for path in (phone.root / "data/local/tmp/tvm-farm").iterdir()] == ["lasting"]


async def test_a_device_that_is_pulled_out_and_put_back(
    tracker: StandInTracker, phone: Phone, architecture: Architecture, tmp_path: Path
) -> None:
    async with agent(tracker, phone, tmp_path) as process:
        await tracker.joined()
        tracker.measure(matmul(tracker, "at hand", architecture.machine, ENDLESS))
        await tracker.until(lambda: tracker.started() == ["at hand"])
        phone.unplug()
        await tracker.until(lambda: set(tracker.given_back()) == {"at hand"})
        await process.says("looking for the device again")
        phone.plug()
        await tracker.joined(times=2)
        await answers_right(tracker, "afterwards", architecture.machine)
        assert tracker.measured() == ["afterwards"]


async def test_a_device_that_is_not_there_yet(tracker: StandInTracker, phone: Phone, tmp_path: Path) -> None:
    phone.unplug()
    async with agent(tracker, phone, tmp_path) as process:
        await process.says(f"{phone.via} cannot be reached: adb: device '.*' not found")
        phone.plug()
        await tracker.joined()


async def test_an_agent_that_is_killed_leaves_nothing_running(
    tracker: StandInTracker, phone: Phone, architecture: Architecture, tmp_path: Path
) -> None:
    async with agent(tracker, phone, tmp_path) as process:
        await tracker.joined()
        tracker.measure(matmul(tracker, "endless", architecture.machine, ENDLESS))
        await tracker.until(lambda: tracker.started() == ["endless"])
        left = phone.processes()
        assert left
        process.signal(signal.SIGKILL)
        await process.ended()
    assert psutil.wait_procs(left, 20)[1] == []


async def test_a_device_without_the_c_library_is_brought_one(
    tracker: StandInTracker, architecture: Architecture, tmp_path: Path
) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    phone = Phone(folder, architecture, has_libc=False)
    async with agent(tracker, phone, tmp_path) as process:
        assert await process.ended() == 6
        assert process.lines[-1].endswith("; its C library is unknown: --libc DIR brings the one it needs")
    async with agent(tracker, phone, tmp_path, "--libc", f"{architecture.libc}/lib"):
        await tracker.joined()
        await answers_right(tracker, "one", architecture.machine)


@pytest.mark.skipif(
    bool(ARMV7.missing) or len(os.sched_getaffinity(0)) < 2, reason=ARMV7.missing or "unlike cores need two CPUs"
)
async def test_cores_of_unlike_kinds_are_devices_there_too(tracker: StandInTracker, tmp_path: Path) -> None:
    folder = tmp_path / "device"
    folder.mkdir()
    phone = Phone(folder, replace(ARMV7, files=two_of_an_rk3399(little(), big())))
    async with agent(tracker, phone, tmp_path):
        await tracker.joined(times=2)
        name = phone.via.partition(":")[2]
        joins = {join.name: join for join in tracker.all("join")}
        assert sorted(joins) == [f"{name}-a53", f"{name}-a72"]
        assert {join.runner.threads for join in joins.values()} == {1}
        runners = [
            process for process in phone.processes() if "qemu" in process.exe() and "--cpus" in process.cmdline()
        ]
        assert sorted(runner.cpu_affinity() for runner in runners) == [[little()], [big()]]
