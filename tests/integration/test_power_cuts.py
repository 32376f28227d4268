"""What a power cut may leave of a state folder: a real agent over each, and the order in which files are written."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.agent_process import AgentProcess
from tests.support.small_disk import FailingDisk, missing
from tests.support.stand_in_tracker import StandInTracker, make_request
from tvm_farm.agent.files.durable import write_durably
from tvm_farm.agent.files.identity import keep_identity
from tvm_farm.protos.measurement import Outcome


@pytest.fixture
async def tracker() -> AsyncIterator[StandInTracker]:
    async with StandInTracker() as tracker:
        yield tracker


def the_one(folder: Path, pattern: str) -> Path:
    [path] = folder.glob(pattern)
    return path


def zeros(path: Path) -> None:
    """As ext4 leaves a file whose size was written, and whose blocks were not."""
    path.write_bytes(bytes(path.stat().st_size))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def gone(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(4000))


#: Which file, what became of it, and whether its content has to be fetched again.
CUTS: list[tuple[str, Callable[[Path], None], bool]] = [
    ("device-id", zeros, False),
    ("device-id", empty, False),
    ("device-id", half, False),
    ("device-id", gone, False),
    ("device-id.copy", garbage, False),
    ("lock", garbage, False),
    ("artifacts/*.so", zeros, True),
    ("artifacts/*.so", empty, True),
    ("artifacts/*.so", half, True),
    ("artifacts/*.so", garbage, True),
    ("artifacts/*.so", gone, True),
]


async def test_an_agent_over_each(tracker: StandInTracker, tmp_path: Path) -> None:
    library = tracker.put_artifact(os.urandom(100_000))
    options = ("start", "--tracker", tracker.address, "--state", str(tmp_path), "--runner", "synthetic")
    known, fetched = "", 0
    for number, (pattern, cut, again) in enumerate([("", gone, True), *CUTS]):
        if pattern:
            cut(the_one(tmp_path, pattern))
        async with AgentProcess(*options) as agent:
            join = await tracker.joined(number + 1)
            assert known in ("", join.device_id)
            known = join.device_id
            tracker.measure(make_request(f"t{number}", library))
            measured = await tracker.measurement(f"t{number}")
            assert measured.outcome is Outcome.OK, measured.detail
            fetched += again
            assert len(tracker.fetched) == fetched, (pattern, cut)
            assert "Traceback" not in agent.text
            agent.signal(signal.SIGKILL)
            await agent.ended()


@pytest.mark.skipif(missing(failing=True) != "", reason=missing(failing=True))
async def test_what_is_on_the_disk_when_the_power_goes(tracker: StandInTracker, tmp_path: Path) -> None:
    """Of a file system that nobody flushed: names and content that were not forced to the disk are not there."""
    library = tracker.put_artifact(os.urandom(100_000))

    async def measures(disk: FailingDisk, trial: str, joins: int) -> str:
        options = ("--tracker", tracker.address, "--state", str(disk.folder / "state"), "--runner", "synthetic")
        async with AgentProcess("start", *options) as agent:
            join = await tracker.joined(joins)
            tracker.measure(make_request(trial, library))
            assert (await tracker.measurement(trial)).outcome is Outcome.OK
            assert "Traceback" not in agent.text
            (disk.folder / "witness").write_bytes(b"written, and not forced to the disk")
            with FailingDisk(tmp_path / f"after {trial}", cut=disk) as after:
                assert not (after.folder / "witness").exists() or (after.folder / "witness").stat().st_size == 0
                assert keep_identity(after.folder / "state") == join.device_id
                if joins == 1:
                    assert await measures(after, "again", 2) == join.device_id
        return str(join.device_id)

    with FailingDisk(tmp_path / "card") as card:
        await measures(card, "first", 1)


def test_a_name_never_tells_of_less_than_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def fsynced(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        done.append(f"sync {path.relative_to(tmp_path)} of {path.stat().st_size if path.is_file() else 'names'}")
        fsync(handle)

    def replaced(source: Path, target: Path) -> None:
        done.append(f"rename {source.name} {target.name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsynced)
    monkeypatch.setattr(os, "replace", replaced)
    write_durably(tmp_path / "file", b"content")
    assert done == ["sync file.new of 7", "rename file.new file", "sync . of names"]
    assert (tmp_path / "file").read_bytes() == b"content"


def test_what_could_not_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_durably(tmp_path / "file", b"before")

    def fails(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output error"):
        write_durably(tmp_path / "file", b"after")
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
