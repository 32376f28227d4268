"""What a board runs with: by what is installed, what a tracker offers and what arrives. The runner does as told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.offered_runtime import NAMES, Tracker, agree, board, installed
from tvm_farm.agent.errors import LinkLostError, RunnerUnusableError
from tvm_farm.agent.runtime.folder import RuntimeFolder
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.runtime import RuntimeOffer

NONE = RuntimeOffer(reason="this farm has none", tvm_version="1.0")


async def test_a_board_without_any_gets_the_trackers(tmp_path: Path) -> None:
    tracker = Tracker()
    runtime, runner = board(tmp_path)
    info = await agree(runtime, tracker)
    assert (info.mode, info.tvm_version, info.full_mode_missing) == (RunnerMode.FULL, "1.0", "")
    libraries = runner.libraries
    assert libraries is not None
    assert libraries.extra is not None
    for path, name in zip((libraries.ffi, libraries.runtime, libraries.extra), NAMES, strict=True):
        assert path.read_bytes() == f"{name} 1.0".encode()
    assert (await agree(runtime, tracker)) == info
    assert len(runner.equipped) == 1
    assert len(tracker.fetched) == 3


async def test_the_next_start_needs_no_tracker_and_no_download(tmp_path: Path) -> None:
    tracker = Tracker()
    first, before = board(tmp_path)
    await agree(first, tracker)
    last = RuntimeFolder(tmp_path / "runtime").last()
    assert last == before.libraries
    again, runner = board(tmp_path, runs=last)
    assert (await agree(again, tracker)).mode is RunnerMode.FULL
    assert runner.equipped == []
    assert len(tracker.fetched) == 3


@pytest.mark.parametrize(
    "harm", ["damaged", "zeros", "removed", "no list", "half a list", "empty list", "zero list", "list of nonsense"]
)
async def test_what_was_kept_and_is_not_whole_is_fetched_again(tmp_path: Path, harm: str) -> None:
    tracker = Tracker()
    await agree(board(tmp_path)[0], tracker)
    path = tmp_path / "runtime" / f"{tracker.digest('libtvm_runtime.so')}.so"
    note = tmp_path / "runtime.json"
    if harm == "damaged":
        path.write_bytes(b"x" * path.stat().st_size)
    elif harm == "zeros":
        path.write_bytes(bytes(path.stat().st_size))
    elif harm == "removed":
        path.unlink()
    elif harm == "no list":
        note.unlink()
    else:
        whole = note.read_bytes()
        kinds = {"half a list": whole[:40], "empty list": b"", "zero list": bytes(len(whole))}
        note.write_bytes(kinds.get(harm, b'[{"libraries": 7}, "\xff"]'))
    assert RuntimeFolder(tmp_path / "runtime").last() is None
    tracker.fetched.clear()
    assert (await agree(board(tmp_path)[0], tracker)).mode is RunnerMode.FULL
    assert tracker.fetched == ([tracker.digest("libtvm_runtime.so")] if harm in ("damaged", "zeros", "removed") else [])
    assert RuntimeFolder(tmp_path / "runtime").last() is not None


@pytest.mark.parametrize(
    ("version", "ffi", "offer", "mode", "runs", "fetches"),
    [
        ("1.0", "", "same", RunnerMode.FULL, "1.0", 0),
        ("0.9", "", "same", RunnerMode.FULL, "1.0", 3),
        ("1.0", "ffi 0.9", "same", RunnerMode.FULL, "1.0", 3),
        ("1.0", "", "none", RunnerMode.FULL, "1.0", 0),
        ("0.9", "", "none", RunnerMode.MICRO, "", 0),
        ("0.9", "", "older tracker", RunnerMode.FULL, "0.9", 0),
        ("0.9", "", "cannot say", RunnerMode.FULL, "0.9", 0),
    ],
)
async def test_what_is_installed_is_used_where_it_matches(
    tmp_path: Path, version: str, ffi: str, offer: str, mode: RunnerMode, runs: str, fetches: int
) -> None:
    tracker = Tracker()
    others = {"none": NONE, "older tracker": None, "cannot say": RuntimeOffer(reason="it failed")}
    tracker.offer = others.get(offer, tracker.offer)
    runtime, runner = board(tmp_path, installed=installed(version, ffi))
    info = await agree(runtime, tracker)
    assert (info.mode, info.tvm_version, len(tracker.fetched)) == (mode, runs, fetches)
    assert info.full_mode_missing == ("" if mode is RunnerMode.FULL else "this farm has none")
    assert (runner.libraries == installed(version, ffi)) == (mode is RunnerMode.FULL and not fetches)


@pytest.mark.parametrize(
    ("offer", "said"),
    [(NONE, "this farm has none"), (None, "the tracker is older than this agent")],
)
async def test_no_runtime_is_micro_mode_with_a_reason(tmp_path: Path, offer: RuntimeOffer | None, said: str) -> None:
    tracker = Tracker()
    tracker.offer = offer
    info = await agree(board(tmp_path)[0], tracker)
    assert info.mode is RunnerMode.MICRO
    assert said in info.full_mode_missing
    with pytest.raises(RunnerUnusableError, match=f"--mode full is not possible here: {said}"):
        await agree(board(tmp_path, required=True)[0], tracker)


async def test_a_damaged_library_is_refused(tmp_path: Path) -> None:
    tracker = Tracker()
    digest = tracker.digest("libtvm_runtime.so")
    whole = tracker.files[digest]
    tracker.files[digest] = whole[:-1] + b"?"
    runtime, runner = board(tmp_path)
    info = await agree(runtime, tracker)
    assert info.mode is RunnerMode.MICRO
    assert f"artifact {digest[:12]} arrived damaged" in info.full_mode_missing
    assert runner.equipped == []
    assert RuntimeFolder(tmp_path / "runtime").last() is None
    tracker.files[digest] = whole
    assert (await agree(runtime, tracker)).full_mode_missing == ""


async def test_a_cable_cut_in_the_middle_keeps_what_came_whole(tmp_path: Path) -> None:
    tracker = Tracker()
    tracker.lost_at = tracker.digest("libtvm_runtime.so")
    runtime, runner = board(tmp_path)
    with pytest.raises(LinkLostError, match="cable"):
        await agree(runtime, tracker)
    assert runner.equipped == []
    tracker.lost_at = ""
    assert (await agree(runtime, tracker)).mode is RunnerMode.FULL
    ffi, main, extra = (tracker.digest(name) for name in NAMES)
    assert tracker.fetched == [ffi, main, main, extra]


async def test_a_runtime_that_takes_its_time_comes_while_the_board_measures(tmp_path: Path) -> None:
    tracker, arrived = Tracker(), asyncio.Event()
    tracker.slow_at = tracker.digest("libtvm_runtime.so")
    runtime, runner = board(tmp_path, join_waits_s=0.0)
    runtime.on_arrival = arrived.set
    info = await agree(runtime, tracker)
    assert (info.mode, info.full_mode_missing) == (RunnerMode.MICRO, "TVM's runtime is on its way from the tracker")
    await tracker.slow.wait()
    assert runtime.share == pytest.approx(1 / 3, abs=0.1)
    tracker.hurry.set()
    await arrived.wait()
    assert runner.equipped == []
    assert (await agree(runtime, tracker)).mode is RunnerMode.FULL
    assert runtime.share is None
    assert len(tracker.fetched) == 3


async def test_a_runtime_that_arrives_damaged_is_told_once(tmp_path: Path) -> None:
    tracker, arrived = Tracker(), asyncio.Event()
    tracker.slow_at = digest = tracker.digest("libtvm_runtime.so")
    tracker.files[digest] = tracker.files[digest][:-1] + b"?"
    runtime, _ = board(tmp_path, join_waits_s=0.0)
    runtime.on_arrival = arrived.set
    await agree(runtime, tracker)
    tracker.hurry.set()
    await arrived.wait()
    info = await agree(runtime, tracker)
    assert (info.mode, runtime.share) == (RunnerMode.MICRO, None)
    assert "arrived damaged" in info.full_mode_missing


async def test_a_new_link_goes_on_with_the_runtime(tmp_path: Path) -> None:
    tracker, arrived = Tracker(), asyncio.Event()
    tracker.slow_at = tracker.digest("libtvm_runtime.so")
    runtime, _ = board(tmp_path, join_waits_s=0.0)
    runtime.on_arrival = arrived.set
    for _ in range(2):
        assert (await agree(runtime, tracker)).mode is RunnerMode.MICRO
        await tracker.slow.wait()
        tracker.slow.clear()
    tracker.hurry.set()
    await arrived.wait()
    assert (await agree(runtime, tracker)).mode is RunnerMode.FULL
    ffi, main, extra = (tracker.digest(name) for name in NAMES)
    assert tracker.fetched == [ffi, main, main, extra]


async def test_a_library_that_does_not_start_is_micro_mode_with_a_reason(tmp_path: Path) -> None:
    tracker = Tracker("2.0")
    runtime, runner = board(tmp_path, runs=installed("1.0"))
    runner.refuses = "2.0"
    info = await agree(runtime, tracker)
    assert info.mode is RunnerMode.MICRO
    assert "does not start here: libstdc++.so.6: cannot open" in info.full_mode_missing
    runner.refuses = ""
    assert (await agree(runtime, tracker)).tvm_version == "2.0"


async def test_a_tracker_with_another_tvm_changes_the_board(tmp_path: Path) -> None:
    runtime, runner = board(tmp_path)
    for version, fetched in (("1.0", 3), ("2.0", 6), ("1.0", 6)):
        tracker = Tracker(version)
        assert (await agree(runtime, tracker)).tvm_version == version
        assert len(list((tmp_path / "runtime").iterdir())) == fetched
    assert len(runner.equipped) == 3
    assert tracker.fetched == []
    tracker.offer = replace(NONE, tvm_version="3.0")
    assert (await agree(runtime, tracker)).full_mode_missing == NONE.reason


async def test_a_runtime_without_its_main_library_is_refused(tmp_path: Path) -> None:
    tracker = Tracker()
    tracker.offer = RuntimeOffer(tracker.runtime("1.0", NAMES[:1]), tvm_version="1.0")
    info = await agree(board(tmp_path)[0], tracker)
    assert "has no libtvm_runtime.so" in info.full_mode_missing


async def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "runtime").write_text("")
    tracker = Tracker()
    info = await agree(board(tmp_path)[0], tracker)
    assert info.mode is RunnerMode.MICRO
    assert "/runtime: Not a directory" in info.full_mode_missing
