"""A board's disk that fills up, becomes read-only, or fails: one clear state, told once, left when it is over."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_process import AgentProcess
from tests.support.farm_command import farm
from tests.support.measure_client import MeasureClient
from tests.support.offered_runtime import Tracker, agree, board
from tests.support.pipes import PIPE_BYTES, held_by
from tests.support.small_disk import FailingDisk, SmallDisk, missing
from tests.support.stand_in_tracker import StandInTracker, make_request
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.agent.board.distant_files import DistantFiles
from tvm_farm.agent.files.artifacts import ArtifactCache
from tvm_farm.agent.files.disk import DiskError, try_disk
from tvm_farm.agent.files.identity import keep_identity
from tvm_farm.agent.runner import DeviceAwayError
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.measurement import Artifact, Outcome

MB = 1 << 20

pytestmark = pytest.mark.skipif(missing() != "", reason=missing())


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with SmallDisk(tmp_path / "disk") as disk:
        yield disk


def agent(address: str, disk: SmallDisk, *more: str) -> AgentProcess:
    options = ("--tracker", address, "--state", str(disk.folder / "state"), "--runner", "synthetic")
    return AgentProcess("start", *options, *more)


def faults(tracker: StandInTracker) -> list[str]:
    """What the heartbeats said of the disk, without repeats."""
    told = [beat.telemetry.disk_fault for beat in tracker.all("heartbeat")]
    return [each for number, each in enumerate(told) if number == 0 or told[number - 1] != each]


async def test_it_takes_no_trials_until_its_disk_takes_files(tracker: StandInTracker, disk: SmallDisk) -> None:
    async with agent(tracker.address, disk) as process:
        await tracker.joined()
        disk.fill()
        libraries = [tracker.put_artifact(os.urandom(MB // 2)) for _ in range(2)]
        tracker.measure(make_request("first", libraries[0]))
        await tracker.until(lambda: "first" in tracker.given_back())
        assert "its disk is full" in tracker.given_back()["first"]
        await tracker.until(lambda: "its disk is full" in faults(tracker))
        for number in range(20):  # a tracker that does not know better
            tracker.measure(make_request(f"t{number}", libraries[1]))
        await tracker.until(lambda: len(tracker.given_back()) == 21)
        disk.free()
        await process.says("the disk takes files again")
        await tracker.until(lambda: faults(tracker)[-1] == "")
        tracker.measure(make_request("first", libraries[0]))
        assert (await tracker.measurement("first")).outcome is Outcome.OK
        assert tracker.measured() == ["first"]
        assert len([line for line in process.lines if "takes no trials until" in line]) == 1
        assert "Traceback" not in process.text
        assert len(tracker.all("join")) == 1


async def test_what_has_its_files_here_is_measured_though_the_disk_is_full(
    tracker: StandInTracker, disk: SmallDisk
) -> None:
    async with agent(tracker.address, disk):
        await tracker.joined()
        here, not_here = tracker.put_artifact(os.urandom(MB)), tracker.put_artifact(os.urandom(2 * MB))
        tracker.measure(make_request("here", here))
        await tracker.measurement("here")
        tracker.measure(make_request("at hand", here))
        disk.fill()
        tracker.measure(make_request("not here", not_here))
        await tracker.until(lambda: "not here" in tracker.given_back())
        assert (await tracker.measurement("at hand")).outcome is Outcome.OK


@pytest.mark.parametrize("how", ["full", "read-only"])
async def test_a_board_that_starts_so_says_so_before_any_trial(
    tracker: StandInTracker, disk: SmallDisk, how: str
) -> None:
    keep_identity(made(disk.folder / "state"))
    (disk.folder / "state" / "lock").touch()
    if how == "full":
        disk.fill()
    else:
        disk.set_read_only(True)
    async with agent(tracker.address, disk) as process:
        assert (await tracker.joined()).telemetry.disk_fault == f"its disk is {how}"
        await process.says(f"takes no trials until its disk takes files: its disk is {how}")
        if how == "full":
            disk.free()
        else:
            disk.set_read_only(False)
        await process.says("the disk takes files again")
        tracker.measure(make_request("t", tracker.put_artifact(os.urandom(MB))))
        assert (await tracker.measurement("t")).outcome is Outcome.OK
        assert "Traceback" not in process.text


async def test_a_disk_that_hangs_holds_up_its_own_trial_alone(tracker: StandInTracker, tmp_path: Path) -> None:
    """A download goes to a pipe that nobody reads, whose write(2) does not return."""
    options = ("--tracker", tracker.address, "--state", str(tmp_path), "--runner", "synthetic")
    async with AgentProcess("start", *options) as process:
        await tracker.joined()
        hangs = tracker.put_artifact(os.urandom(MB))
        pipe = tmp_path / "artifacts" / f"incoming-{hangs.digest}.so"
        os.mkfifo(pipe)
        tracker.measure(make_request("hangs", hangs))
        await asyncio.to_thread(wait_until, lambda: held_by(pipe) == PIPE_BYTES, "write that fills the pipe")
        beats = len(tracker.all("heartbeat"))
        tracker.measure(make_request("other"))
        assert (await tracker.measurement("other")).outcome is Outcome.OK
        await tracker.until(lambda: len(tracker.all("heartbeat")) >= beats + 3)
        assert len(tracker.all("join")) == 1
        process.signal(signal.SIGKILL)


@pytest.mark.parametrize("how", ["full", "read-only"])
async def test_without_an_identity_it_cannot_start(tracker: StandInTracker, disk: SmallDisk, how: str) -> None:
    made(disk.folder / "state")
    if how == "full":
        disk.fill()
    else:
        disk.set_read_only(True)
    async with agent(tracker.address, disk) as process:
        assert await process.ended() == 2
        assert len(process.lines) == 1
        assert f"cannot be used: its disk is {how}" in process.text
    if how == "full":
        disk.free()
        async with agent(tracker.address, disk):
            await tracker.joined()


async def test_room_that_is_lent_out_comes_back_first(disk: SmallDisk) -> None:
    """The cache may have 100 MB, the disk has 3: what is unused goes, longest unused first."""
    data = {name: os.urandom(MB) for name in ("a", "b", "c", "d")}
    artifacts = {name: _artifact(content) for name, content in data.items()}

    async def fetch(digest: str, offset: int) -> AsyncIterator[tuple[int, bytes]]:
        [content] = [data[name] for name, artifact in artifacts.items() if artifact.digest == digest]
        for place in range(offset, len(content), 1 << 16):
            yield place, content[place : place + (1 << 16)]

    cache = ArtifactCache(disk.folder / "artifacts", 100 * MB, fetch)
    for name in ("a", "b"):
        await cache.hold(artifacts[name], ".so")
    cache.release(artifacts["a"], ".so")
    disk.fill(leave=MB // 2)
    assert (await cache.hold(artifacts["c"], ".so")).read_bytes() == data["c"]
    assert {path.name[:64] for path in (disk.folder / "artifacts").iterdir()} == {
        artifacts[name].digest for name in ("b", "c")
    }
    with pytest.raises(DiskError, match="its disk is full; free some room"):
        await cache.hold(artifacts["d"], ".so")
    assert cache.size_bytes == 2 * MB
    assert sorted(path.name[:64] for path in (disk.folder / "artifacts").iterdir()) == sorted(
        artifacts[name].digest for name in ("b", "c")
    )
    # A runtime's cache takes from the kernels' one what that does not use.
    cache.release(artifacts["b"], ".so")
    runtimes = ArtifactCache(disk.folder / "runtime", 100 * MB, fetch, spare=cache.drop_unused, durable=True)
    assert (await runtimes.hold(artifacts["d"], ".so")).read_bytes() == data["d"]
    assert cache.size_bytes == MB


@pytest.mark.skipif(missing(failing=True) != "", reason=missing(failing=True))
async def test_a_disk_that_is_read_only_after_an_error(tracker: StandInTracker, tmp_path: Path) -> None:
    with FailingDisk(tmp_path / "card") as card:
        async with agent(tracker.address, card) as process:
            await tracker.joined()
            library = tracker.put_artifact(os.urandom(MB))
            tracker.measure(make_request("here", library))
            await tracker.measurement("here")
            card.find_fault()
            tracker.measure(make_request("new", tracker.put_artifact(os.urandom(MB))))
            await tracker.until(lambda: "its disk is read-only" in tracker.given_back().get("new", ""))
            await tracker.until(lambda: faults(tracker)[-1] == "its disk is read-only")
        async with agent(tracker.address, card) as process:
            assert (await tracker.joined(2)).telemetry.disk_fault == "its disk is read-only"
            await process.says("takes no trials until its disk takes files: its disk is read-only")
            assert "Traceback" not in process.text
        assert tracker.measured() == ["here"]


@pytest.mark.skipif(missing(failing=True) != "", reason=missing(failing=True))
async def test_a_disk_with_errors(tracker: StandInTracker, tmp_path: Path) -> None:
    with FailingDisk(tmp_path / "card") as card:
        keep_identity(made(card.folder / "state"))
        card.set_failing(True)
        assert try_disk(card.folder / "state") == "its disk has errors"
        async with agent(tracker.address, card) as process:
            assert (await tracker.joined()).telemetry.disk_fault == "its disk has errors"
            tracker.measure(make_request("t", tracker.put_artifact(os.urandom(MB))))
            await tracker.until(lambda: tracker.given_back() == {"t": "its disk has errors"})
            card.set_failing(False)
            await process.says("the disk takes files again")
            tracker.measure(make_request("t", tracker.put_artifact(os.urandom(MB))))
            assert (await tracker.measurement("t")).outcome is Outcome.OK
            assert "Traceback" not in process.text


async def test_a_runtime_that_found_no_room_comes_when_there_is(disk: SmallDisk) -> None:
    runtime, _ = board(disk.folder)
    told: list[DiskError] = []
    runtime.on_disk_error = told.append
    disk.fill()
    tracker = Tracker()
    info = await agree(runtime, tracker)
    assert info.mode is RunnerMode.MICRO
    assert "its disk is full" in info.full_mode_missing
    assert [error.fault for error in told] == ["its disk is full"]
    disk.free()
    assert (await agree(runtime, tracker)).mode is RunnerMode.FULL


async def test_doctor_names_the_disk(tracker: StandInTracker, disk: SmallDisk) -> None:
    keep_identity(made(disk.folder / "state"))
    disk.fill()
    options = ("--tracker", tracker.address, "--state", str(disk.folder / "state"))
    async with AgentProcess("doctor", *options) as doctor:
        assert await doctor.ended() == 1
        assert f"✗ state folder: {disk.folder}/state: its disk is full" in doctor.lines
        assert "Traceback" not in doctor.text


class Here:
    """A device that is this machine, with a shell of its own."""

    name = "ssh:here"

    async def start(self, script: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec("sh", "-c", script, stdin=pipe, stdout=pipe)


async def test_a_distant_device_whose_readings_find_no_place_here_is_away(disk: SmallDisk) -> None:
    transport: Any = Here()
    (made(disk.folder / "proc") / "loadavg").touch()
    disk.set_read_only(True)
    with pytest.raises(DeviceAwayError, match=r"ssh:here: .* cannot be written: Read-only"):
        await DistantFiles(transport, disk.folder).watch([disk.folder / "proc" / "loadavg"])


async def test_the_farm_tells_and_sends_nothing_there(tmp_path: Path, disk: SmallDisk) -> None:
    tracker = TrackerProcess(tmp_path / "tracker")
    try:
        async with agent(tracker.address, disk, "--name", "pi") as process:
            await process.says("joined farm")
            disk.fill()
            client = MeasureClient(tracker.address, pool="synthetic")
            for number in range(6):
                client.trial(f"t{number}", library=os.urandom(MB // 4))
            await process.says("takes no trials until its disk takes files")
            told = await asyncio.to_thread(farm, "devices", "--tracker", tracker.address)
            assert "its disk is full" in " ".join(told.stdout.split())
            disk.free()
            await asyncio.to_thread(wait_until, lambda: len(client.answers) == 6, "answer to each")
            assert {answer.outcome for answer in client.answers.values()} == {1}
            assert set(client.times.values()) == {1}
            client.close()
    finally:
        tracker.stop()


def _artifact(content: bytes) -> Artifact:
    return Artifact(hashlib.sha256(content).hexdigest(), len(content))


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
