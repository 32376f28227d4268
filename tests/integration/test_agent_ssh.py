"""``agent start --via ssh:…``: the agent here, kernels on a device behind a real sshd that needs a shell alone."""

from __future__ import annotations

import signal
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.support.agent_process import AgentProcess
from tests.support.ssh_server import MISSING, SshServer
from tests.support.stand_in_tracker import StandInTracker
from tvm_farm.agent.runner import find_runtime
from tvm_farm.agent.runner.probe_kernel import PROBE_ENTRY, find_probe_kernel
from tvm_farm.protos.farm.v1 import device_pb2
from tvm_farm.protos.measurement import Argument, MeasureRequest, Outcome, Program, ProgramKind, TimingPlan
from tvm_farm.protos.networks import everywhere

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

SHORT = TimingPlan(number=10, repeat=3)
ENDLESS = TimingPlan(number=1, repeat=1, min_repeat_ms=9000)


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[SshServer]:
    folder = tmp_path / "device"
    folder.mkdir()
    async with SshServer(folder) as device:
        yield device


def agent(tracker: StandInTracker, device: SshServer, state: Path, *more: str) -> AgentProcess:
    options = ("--tracker", tracker.address, "--state", str(state / "state"), "--via", device.via, *more)
    return AgentProcess("start", *options, PATH=device.path)


def add_one(tracker: StandInTracker, trial: str, plan: TimingPlan = SHORT, entry: str = PROBE_ENTRY) -> MeasureRequest:
    library = tracker.put_artifact(find_probe_kernel().read_bytes())
    source = struct.pack("<4f", 1.0, 2.0, 3.0, 4.0)
    args = (Argument((4,), "float32", data=source), Argument((4,), "float32", data=bytes(16)))
    return MeasureRequest(trial, Program(ProgramKind.KERNEL, library, entry, args, outputs=(1,)), plan)


def lasting(device: SshServer) -> list[Path]:
    return sorted((device.home / ".cache/tvm-farm/lasting").iterdir())


async def answers_right(tracker: StandInTracker, trial: str) -> None:
    tracker.measure(add_one(tracker, trial))
    measured = await tracker.measurement(trial)
    assert measured.outcome is Outcome.OK, measured.detail
    assert struct.unpack("<4f", measured.outputs[0].data) == (2.0, 3.0, 4.0, 5.0)
    assert len(measured.run_secs) == 3
    timeline = measured.timeline
    assert 0 < timeline.received_s <= timeline.started_s <= timeline.finished_s


@pytest.mark.skipif(everywhere() != "::", reason="this kernel has no IPv6")
async def test_a_device_that_ipv6_reaches(tracker: StandInTracker, tmp_path: Path) -> None:
    (tmp_path / "device").mkdir()
    async with SshServer(tmp_path / "device", "::1") as device, agent(tracker, device, tmp_path, "--name", "far"):
        assert "@[::1]:" in device.via
        await tracker.joined()
        await answers_right(tracker, "one")


async def test_kernels_run_on_the_device(tracker: StandInTracker, device: SshServer, tmp_path: Path) -> None:
    async with agent(tracker, device, tmp_path, "--name", "far") as process:
        join = await tracker.joined()
        assert join.name == "far"
        assert join.runner.mode == device_pb2.RUNNER_MODE_MICRO
        # The device has one CPU, the host of its agent all.
        assert [list(cluster.cpus) for cluster in join.fingerprint.clusters] == [[device.cpu]]
        assert join.runner.threads == 1
        assert join.fingerprint.memory_bytes == psutil.virtual_memory().total
        assert join.fingerprint.cpu_features
        assert join.fingerprint.libc.startswith("glibc 2.")
        assert join.telemetry.memory_available_bytes > 0
        await answers_right(tracker, "one")
        tracker.measure(add_one(tracker, "nowhere", entry="nowhere"))
        failed = await tracker.measurement("nowhere")
        assert failed.outcome is Outcome.RUN_ERROR
        assert "nowhere" in failed.detail
        beats = await tracker.until(lambda: len(beats := tracker.all("heartbeat")) >= 2 and beats)
        assert beats[-1].telemetry.memory_available_bytes > 0
        [runner] = device.runners()
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert psutil.wait_procs([runner], 10)[1] == []
    # What trials brought is gone, the program stays for the next time.
    assert [path.name for path in (device.home / ".cache/tvm-farm").iterdir()] == ["lasting"]
    [program] = lasting(device)
    assert program.name.endswith("-tvm-farm-runner")


async def test_the_runner_is_brought_once(tracker: StandInTracker, device: SshServer, tmp_path: Path) -> None:
    numbers = []
    for times in (1, 2, 3):
        async with agent(tracker, device, tmp_path):
            await tracker.joined(times=times)
        assert psutil.wait_procs(device.runners(), 10)[1] == []
        [program] = lasting(device)
        numbers.append(program.stat().st_ino)
        if times == 2:
            program.write_bytes(program.read_bytes()[:-1])  # as power lost while writing leaves it
    assert numbers[0] == numbers[1] != numbers[2]


async def test_full_mode_with_the_devices_runtime(tracker: StandInTracker, device: SshServer, tmp_path: Path) -> None:
    found = find_runtime()
    assert found is not None
    for library in (found.ffi, found.runtime):
        (tmp_path / library.name).symlink_to(library)
    async with agent(tracker, device, tmp_path, "--runtime", str(tmp_path)):
        join = await tracker.joined()
        assert join.runner.mode == device_pb2.RUNNER_MODE_FULL
        await answers_right(tracker, "one")


async def test_a_lost_connection_costs_the_trial_at_hand(
    tracker: StandInTracker, device: SshServer, tmp_path: Path
) -> None:
    async with agent(tracker, device, tmp_path) as process:
        first = await tracker.joined()
        tracker.measure(add_one(tracker, "at hand", ENDLESS))
        tracker.measure(add_one(tracker, "behind it"))
        await tracker.until(lambda: tracker.started() == ["at hand"])
        left = device.runners()
        assert left
        await device.stop()
        await tracker.until(lambda: set(tracker.given_back()) == {"at hand", "behind it"})
        assert "cannot be reached" in tracker.given_back()["at hand"] or "lost" in tracker.given_back()["at hand"]
        await process.says("looking for the device again")
        assert psutil.wait_procs(left, 20)[1] == []
        await device.start()
        again = await tracker.joined(times=2)
        assert again.device_id == first.device_id
        await answers_right(tracker, "afterwards")
        assert tracker.measured() == ["afterwards"]


async def test_an_idle_device_that_goes_away_leaves_the_farm(
    tracker: StandInTracker, device: SshServer, tmp_path: Path
) -> None:
    async with agent(tracker, device, tmp_path) as process:
        await process.says("joined farm")
        await device.stop()
        await tracker.until(lambda: tracker.all("draining"))
        await process.says("looking for the device again")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0


async def test_a_runner_that_is_killed_costs_nothing(
    tracker: StandInTracker, device: SshServer, tmp_path: Path
) -> None:
    slow = TimingPlan(number=1, repeat=1, min_repeat_ms=1000)
    async with agent(tracker, device, tmp_path):
        await tracker.joined()
        tracker.measure(add_one(tracker, "hit", slow))
        await tracker.until(lambda: tracker.started() == ["hit"])
        min(device.runners(), key=lambda each: each.create_time()).kill()
        assert (await tracker.measurement("hit")).outcome is Outcome.OK
        assert len(tracker.all("join")) == 1


async def test_an_agent_that_is_killed_leaves_nothing_running(
    tracker: StandInTracker, device: SshServer, tmp_path: Path
) -> None:
    async with agent(tracker, device, tmp_path) as process:
        await tracker.joined()
        tracker.measure(add_one(tracker, "endless", ENDLESS))
        await tracker.until(lambda: tracker.started() == ["endless"])
        left = [*device.runners(), *device.connections(), *psutil.Process(process.pid).children(recursive=True)]
        process.signal(signal.SIGKILL)
        await process.ended()
    assert psutil.wait_procs(left, 20)[1] == []


async def test_a_second_agent_is_refused(tracker: StandInTracker, device: SshServer, tmp_path: Path) -> None:
    async with agent(tracker, device, tmp_path / "one"):
        await tracker.joined()
        async with agent(tracker, device, tmp_path / "two") as second:
            assert await second.ended() == 6
            assert "another agent works with it" in second.lines[-1]
        await answers_right(tracker, "one")


async def test_a_device_that_is_switched_on_later(tracker: StandInTracker, device: SshServer, tmp_path: Path) -> None:
    await device.stop()
    async with agent(tracker, device, tmp_path) as process:
        await process.says(f"{device.via} cannot be reached: .*Connection refused")
        await device.start()
        await tracker.joined()


async def test_what_only_a_person_can_mend_ends_it(tracker: StandInTracker, device: SshServer, tmp_path: Path) -> None:
    device.know_host(False)
    async with agent(tracker, device, tmp_path) as process:
        assert await process.ended() == 6
        assert f"the host key of {device.via} is not known here: connect once by hand: ssh -p" in process.lines[-1]
    device.know_host()
    (device.folder / "user_key.pub").write_text("")
    async with agent(tracker, device, tmp_path) as process:
        assert await process.ended() == 6
        assert f"{device.via} refuses the keys of this user: ssh-copy-id -p" in process.lines[-1]


async def test_doctor_looks_at_the_device(tracker: StandInTracker, device: SshServer, tmp_path: Path) -> None:
    options = ("--tracker", tracker.address, "--state", str(tmp_path / "state"), "--via", device.via)
    async with AgentProcess("doctor", *options, PATH=device.path) as process:
        assert await process.ended(60) == 0, process.text
        assert f"✓ device: {device.via} gives a shell" in process.lines
        assert any(line.startswith("! runner: micro mode, 1 threads") for line in process.lines)
        assert any(line.startswith("✓ kernel: a tiny kernel runs") for line in process.lines)
        assert any(line.startswith("✓ board: ") and ", 1 x " in line for line in process.lines)
    await device.stop()
    async with AgentProcess("doctor", *options, PATH=device.path) as process:
        assert await process.ended(60) == 1
        assert any(line.startswith(f"✗ device: {device.via} cannot be reached") for line in process.lines)
