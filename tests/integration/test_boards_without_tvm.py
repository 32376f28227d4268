"""Boards without TVM: real agents that get its runtime from a tracker, and run kernels with it."""

from __future__ import annotations

import asyncio
import hashlib
import re
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.support.agent_process import AgentProcess, without_tvm
from tests.support.farm_command import farm
from tests.support.measure_client import MeasureClient
from tests.support.slow_link import SlowLink
from tests.support.stand_in_tracker import StandInTracker
from tests.support.stand_in_worker import submit
from tests.support.tracker_process import TrackerProcess
from tvm_farm.agent.runner import LocalRequest, NativeRunner, RunnerError, RuntimeLibraries, find_runner, find_runtime
from tvm_farm.agent.runner.probe_kernel import PROBE_ENTRY, find_probe_kernel
from tvm_farm.protos.convert import to_message
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.farm.v1 import device_pb2, measurement_pb2, measuring_pb2
from tvm_farm.protos.measurement import Argument, Artifact, MeasureRequest, Outcome, Program, ProgramKind, TimingPlan
from tvm_farm.protos.runtime import RuntimeOffer

PLAN = TimingPlan(number=10, repeat=3)


def libraries() -> dict[str, bytes]:
    """TVM's runtime as it is installed here, by file name."""
    found = find_runtime()
    assert found is not None
    assert found.extra is not None
    return {path.name: path.read_bytes() for path in (found.ffi, found.runtime, found.extra)}


def add_one(trial: str, library: bytes, plan: TimingPlan = PLAN) -> MeasureRequest:
    artifact = Artifact(hashlib.sha256(library).hexdigest(), len(library), library)
    source = struct.pack("<4f", 1.0, 2.0, 3.0, 4.0)
    args = (Argument((4,), "float32", data=source), Argument((4,), "float32", data=bytes(16)))
    return MeasureRequest(trial, Program(ProgramKind.KERNEL, artifact, PROBE_ENTRY, args, outputs=(1,)), plan)


def loaded(agent: AgentProcess, folder: Path) -> set[str]:
    """Files of ``folder`` that the agent's runner has in its memory."""
    [runner] = psutil.Process(agent.pid).children()
    return {Path(region.path).name for region in runner.memory_maps() if Path(region.path).parent == folder}


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    return without_tvm(tmp_path / "bare")


async def test_a_real_tracker_sends_its_own(tmp_path: Path, bare: dict[str, str]) -> None:
    tracker = await asyncio.to_thread(TrackerProcess, tmp_path / "tracker")
    state = tmp_path / "agent"
    options = ("start", "--tracker", tracker.address, "--state", str(state))
    try:
        async with AgentProcess(*options, **bare) as agent:
            await agent.says("micro mode, threads")
            await agent.says("full mode with TVM 0.27.0.post1")
            await agent.says("joined farm")
            [device] = await asyncio.to_thread(tracker.devices)
            assert device.runner.mode == device_pb2.RUNNER_MODE_FULL
            assert (device.runner.tvm_version, device.runner.full_mode_missing) == ("0.27.0.post1", "")
            client = MeasureClient(tracker.address, whole_models=True)
            request = to_message(measurement_pb2.MeasureRequest, add_one("one", find_probe_kernel().read_bytes()))
            client.calls.put(measuring_pb2.MeasureCall(trials=[measuring_pb2.Trial(request=request)]))
            [measured] = await asyncio.to_thread(client.wait_for, "one")
            assert measured.outcome == measurement_pb2.OUTCOME_OK, measured.detail
            assert struct.unpack("<4f", measured.outputs[0].data) == (2.0, 3.0, 4.0, 5.0)
            client.close()
            files = {path.name for path in (state / "runtime").iterdir()}
            assert len(files) == 3
            assert len(loaded(agent, state / "runtime")) >= 2
        await asyncio.to_thread(tracker.stop)
        async with AgentProcess(*options, **bare) as agent:  # no tracker at all: what is here is enough to start with
            await agent.says("full mode, threads")
            await agent.says("cannot reach the tracker")
            await asyncio.to_thread(tracker.start)
            await agent.says("joined farm")
            assert "micro mode" not in agent.text
            assert "full mode with" not in agent.text
    finally:
        await asyncio.to_thread(tracker.stop)


async def test_a_second_start_fetches_nothing(tracker: StandInTracker, tmp_path: Path, bare: dict[str, str]) -> None:
    tracker.offer_runtime(libraries())
    for joins in (1, 2):
        options = ("start", "--tracker", tracker.address, "--state", str(tmp_path / "state"))
        async with AgentProcess(*options, **bare):
            join = await tracker.joined(times=joins)
            assert (join.runner.mode, join.runner.tvm_version) == (device_pb2.RUNNER_MODE_FULL, "9.9.9")
        assert len(tracker.fetched) == 3
    asked = tracker.asked_runtime[0]
    assert asked.arch == join.fingerprint.arch
    assert asked.libc == join.fingerprint.libc


async def test_a_damaged_library_leaves_micro_mode(
    tracker: StandInTracker, tmp_path: Path, bare: dict[str, str]
) -> None:
    files = libraries()
    runtime = tracker.offer_runtime(files)
    digest = runtime.libraries[1].artifact.digest
    tracker.artifacts[digest] = files["libtvm_runtime.so"][:-1] + b"?"
    async with AgentProcess("start", "--tracker", tracker.address, "--state", str(tmp_path / "state"), **bare) as agent:
        join = await tracker.joined()
        assert join.runner.mode == device_pb2.RUNNER_MODE_MICRO
        assert f"artifact {digest[:12]} arrived damaged" in join.runner.full_mode_missing
        await agent.says("micro mode, kernels only: .* arrived damaged")
        tracker.measure(add_one("one", find_probe_kernel().read_bytes()))
        assert (await tracker.measurement("one")).outcome is Outcome.OK


async def test_a_download_that_breaks_off_goes_on(
    tracker: StandInTracker, tmp_path: Path, bare: dict[str, str]
) -> None:
    runtime = tracker.offer_runtime(libraries())
    first, second, third = (each.artifact.digest for each in runtime.libraries)
    tracker.broken_off.add(second)
    async with AgentProcess("start", "--tracker", tracker.address, "--state", str(tmp_path / "state"), **bare) as agent:
        await tracker.until(lambda: second in tracker.fetched)
        assert tracker.all("join") == []
        await tracker.stop()
        await agent.says("cannot reach the tracker")
        tracker.broken_off.clear()
        await tracker.start()
        join = await tracker.joined()
        assert join.runner.mode == device_pb2.RUNNER_MODE_FULL
        assert tracker.fetched == [first, second, second, third]
        assert "cannot" not in join.runner.full_mode_missing


async def test_a_tracker_that_comes_back_newer_changes_the_board_after_its_kernel(
    tracker: StandInTracker, tmp_path: Path, bare: dict[str, str]
) -> None:
    files = libraries()
    tracker.offer_runtime(files, version="1.0")
    probe = find_probe_kernel().read_bytes()
    async with AgentProcess("start", "--tracker", tracker.address, "--state", str(tmp_path / "state"), **bare) as agent:
        assert (await tracker.joined()).runner.tvm_version == "1.0"
        tracker.measure(add_one("slow", probe, TimingPlan(number=1, repeat=1, min_repeat_ms=2000)))
        await tracker.until(lambda: tracker.started() == ["slow"])
        await tracker.stop()
        await agent.says("lost the tracker")
        # Bytes behind the end of a library change its digest and nothing else.
        tracker.offer_runtime({name: data + bytes(8) for name, data in files.items()}, version="2.0")
        await tracker.start()
        join = await tracker.joined(times=2)
        assert (join.runner.mode, join.runner.tvm_version) == (device_pb2.RUNNER_MODE_FULL, "2.0")
        assert (await tracker.measurement("slow")).outcome is Outcome.OK
        tracker.measure(add_one("next", probe))
        assert (await tracker.measurement("next")).outcome is Outcome.OK
        assert tracker.measured() == ["slow", "next"]


async def test_full_mode_or_nothing(tracker: StandInTracker, tmp_path: Path, bare: dict[str, str]) -> None:
    tracker.offer = RuntimeOffer(reason="this farm has none", tvm_version="9.9.9")
    options = ("--mode", "full", "--tracker", tracker.address, "--state", str(tmp_path / "state"))
    async with AgentProcess("start", *options, **bare) as agent:
        assert await agent.ended() == 6
        assert "--mode full is not possible here: this farm has none" in agent.lines[-1]
    assert tracker.all("join") == []


async def test_doctor_says_what_a_join_would_bring(
    tracker: StandInTracker, tmp_path: Path, bare: dict[str, str]
) -> None:
    options = ("doctor", "--tracker", tracker.address, "--state", str(tmp_path / "state"))
    tracker.offer_runtime(libraries())
    async with AgentProcess(*options, **bare) as doctor:
        assert await doctor.ended(60) == 0, doctor.text
        assert "✓ runtime: the tracker has TVM 9.9.9 for x86_64 with glibc 2.17, 6.86 MiB" in doctor.lines
        assert "until the first join brings TVM's runtime" in doctor.text
    tracker.offer = RuntimeOffer(reason="this farm has no TVM runtime for x86_64", tvm_version="9.9.9")
    async with AgentProcess(*options, **bare) as doctor:
        assert await doctor.ended(60) == 0, doctor.text
        assert "! runtime: this farm has no TVM runtime for x86_64" in doctor.lines
    async with AgentProcess(*options, "--mode", "full", **bare) as doctor:
        assert await doctor.ended(60) == 1
        assert doctor.lines[-1] == "failed: runner"
    assert tracker.fetched == []


async def test_a_runner_is_equipped_between_two_kernels(tmp_path: Path) -> None:
    found, path = find_runtime(), tmp_path / "probe.so"
    path.write_bytes(find_probe_kernel().read_bytes())
    slow = add_one("slow", path.read_bytes(), TimingPlan(number=1, repeat=1, min_repeat_ms=1000))
    runner = NativeRunner(find_runner(), None, 1)
    try:
        assert (await runner.start()).mode is RunnerMode.MICRO
        running = asyncio.create_task(runner.run(LocalRequest(slow, path)))
        await asyncio.sleep(0)  # it has begun
        info = await runner.equip(found)
        assert running.done()
        assert (await running).outcome is Outcome.OK
        assert (info.mode, runner.libraries) == (RunnerMode.FULL, found)
        nothing = tmp_path / "libtvm_ffi.so"
        nothing.write_text("no library")
        with pytest.raises(RunnerError, match="libtvm_ffi"):
            await runner.equip(RuntimeLibraries(nothing, nothing))
        assert runner.libraries == found
        quick = add_one("quick", path.read_bytes())
        assert (await runner.run(LocalRequest(quick, path))).outcome is Outcome.OK
        assert (await runner.equip(None)).mode is RunnerMode.MICRO
    finally:
        await runner.stop()


async def test_a_slow_link_brings_it_while_the_board_measures(tmp_path: Path, bare: dict[str, str]) -> None:
    """For longer than a ping may take: its answer waits behind the data."""
    tracker = await asyncio.to_thread(TrackerProcess, tmp_path / "tracker")
    try:
        async with SlowLink(int(tracker.address.rpartition(":")[2]), 200_000) as link:
            options = ("--tracker", f"127.0.0.1:{link.port}", "--state", str(tmp_path / "state"))
            async with AgentProcess("start", *options, **bare) as agent:
                await agent.says("joined farm")
                [device] = await asyncio.to_thread(tracker.devices)
                assert device.runner.mode == device_pb2.RUNNER_MODE_MICRO
                assert device.runner.full_mode_missing == "TVM's runtime is on its way from the tracker"
                shown = await asyncio.to_thread(farm, "--tracker", tracker.address, "devices")
                assert re.search(r"idle, runtime \d+ %", shown.stdout), shown.stdout + shown.stderr
                client = MeasureClient(tracker.address)
                request = to_message(measurement_pb2.MeasureRequest, add_one("one", find_probe_kernel().read_bytes()))
                client.calls.put(measuring_pb2.MeasureCall(trials=[measuring_pb2.Trial(request=request)]))
                [measured] = await asyncio.to_thread(client.wait_for, "one")
                assert measured.outcome == measurement_pb2.OUTCOME_OK, measured.detail
                client.close()
                assert "full mode" not in agent.text.replace("micro mode", "")
                # One in the class of now would wait there for ever.
                job = await asyncio.to_thread(submit, tracker, pool="x86_64")
                assert "-micro-" in device.device_class
                await agent.says("full mode with TVM", within_s=100)
                await agent.says("joined farm", times=2)
                [device] = await asyncio.to_thread(tracker.devices)
                assert (device.runner.mode, device.runner.full_mode_missing) == (device_pb2.RUNNER_MODE_FULL, "")
                assert device.device_class == job.device_class
                assert agent.text.count("fetching") == 3
                assert "cannot reach" not in agent.text
                assert "lost the tracker" not in agent.text
    finally:
        await asyncio.to_thread(tracker.stop)
