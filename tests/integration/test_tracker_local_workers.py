"""Worker processes of the tracker's host, with a stand-in for what they run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from tvm_farm.tracker.services import local_workers
from tvm_farm.tracker.services.local_workers import LocalWorkers

#: A worker with a builder of its own, which would outlive it: for a test that knows when it is there.
WITH_BUILDER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("worker", sys.argv[1], "has", child.pid, flush=True)
time.sleep(600)
"""
ALONE = "import time; time.sleep(600)"
CHATTY = "import sys, time\nwhile True:\n    print('x' * 1000, flush=True)\n    time.sleep(0.001)\n"


async def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


class Farm:
    """A state folder and the workers of one tracker after another on it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.workers: LocalWorkers | None = None

    async def tracker(self, count: int = 1, address: str = "h:1", script: str = ALONE) -> LocalWorkers:
        self.workers = LocalWorkers(self.state, count, address, lambda w: [sys.executable, "-c", script, w])
        await self.workers.start()
        await until(lambda: len(self.pids()) == count)
        return self.workers

    async def crash(self) -> None:
        """The tracker is gone, its workers are not."""
        assert self.workers is not None
        for task in self.workers._tasks:
            task.cancel()
        await asyncio.gather(*self.workers._tasks, return_exceptions=True)
        # As init would: a dead child of ours must not stay as a zombie.
        for child in self.workers._children.values():
            child.returncode = 0

    def pids(self) -> dict[str, int]:
        try:
            return {w["worker_id"]: w["pid"] for w in json.loads((self.state / "workers.json").read_text())}
        except FileNotFoundError:
            return {}

    def log(self, worker_id: str = "local-1") -> str:
        return (self.state / "logs" / f"{worker_id}.log").read_text()


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    farm = Farm(tmp_path)
    yield farm
    if farm.workers is not None:
        await farm.workers.stop()


async def test_stopping_ends_workers_and_their_builders(farm: Farm) -> None:
    workers = await farm.tracker(count=2, script=WITH_BUILDER)
    await until(lambda: "has" in farm.log("local-1") and "has" in farm.log("local-2"))
    builders = [int(farm.log(w).split()[-1]) for w in ("local-1", "local-2")]
    pids = [*farm.pids().values(), *builders]
    assert len(pids) == 4
    assert all(map(lives, pids))
    await workers.stop()
    await until(lambda: not any(map(lives, pids)))
    assert farm.pids() == {}


async def test_a_dead_worker_is_replaced_and_told(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local_workers, "_BACKOFF_S", (0.05, 0.1))
    await farm.tracker()
    first = farm.pids()["local-1"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: farm.pids().get("local-1") not in (None, first))
    assert "worker local-1 ended with exit code -9" in caplog.text
    assert "local-1.log" in caplog.text


async def test_a_crashed_trackers_worker_is_adopted(farm: Farm) -> None:
    await farm.tracker()
    before = farm.pids()
    await farm.crash()
    workers = await farm.tracker()
    assert farm.pids() == before
    await workers.stop()
    await until(lambda: not lives(before["local-1"]))


async def test_one_that_cannot_find_the_tracker_is_replaced(farm: Farm) -> None:
    await farm.tracker(address="h:1")
    before = farm.pids()["local-1"]
    await farm.crash()
    await farm.tracker(address="h:2")
    await until(lambda: farm.pids().get("local-1") not in (None, before))
    assert not lives(before)


async def test_one_that_this_tracker_would_start_otherwise_is_replaced(farm: Farm) -> None:
    await farm.tracker(script=f"{ALONE}  # of an earlier version")
    before = farm.pids()["local-1"]
    await farm.crash()
    await farm.tracker()
    await until(lambda: farm.pids().get("local-1") not in (None, before))
    assert not lives(before)


async def test_one_too_many_is_ended(farm: Farm) -> None:
    await farm.tracker(count=2)
    before = farm.pids()
    await farm.crash()
    workers = LocalWorkers(farm.state, 1, "h:1", lambda w: [sys.executable, "-c", ALONE, w])
    farm.workers = workers
    await workers.start()
    assert lives(before["local-1"])
    assert not lives(before["local-2"])


async def test_a_process_that_took_the_pid_is_left_alone(farm: Farm) -> None:
    stranger = psutil.Process()
    entry = {"worker_id": "local-1", "pid": stranger.pid, "create_time": stranger.create_time() - 99, "address": "h:1"}
    farm.state.joinpath("workers.json").write_text(json.dumps([entry]))
    farm.workers = LocalWorkers(farm.state, 1, "h:1", lambda w: [sys.executable, "-c", ALONE, w])
    await farm.workers.start()
    await until(lambda: farm.pids().get("local-1") not in (None, stranger.pid))


async def test_the_log_does_not_grow_for_ever(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_workers, "_LOG_BYTES", 20_000)
    monkeypatch.setattr(local_workers, "_POLL_S", 0.02)
    await farm.tracker(script=CHATTY)
    log = farm.state / "logs" / "local-1.log"
    await until(lambda: log.with_suffix(".log.1").exists())
    await until(lambda: 0 < log.stat().st_size < 20_000)


async def test_a_log_that_cannot_be_rotated_is_told_and_its_worker_still_watched(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local_workers, "_LOG_BYTES", 1000)
    monkeypatch.setattr(local_workers, "_POLL_S", 0.02)
    monkeypatch.setattr(local_workers, "_BACKOFF_S", (0.05, 0.1))
    # Where the old log would go there is no place for it.
    (farm.state / "logs" / "local-1.log.1").mkdir(parents=True)
    await farm.tracker(script=CHATTY)
    await until(lambda: "local-1.log cannot be rotated and grows" in caplog.text)
    first = farm.pids()["local-1"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: farm.pids().get("local-1") not in (None, first))
    assert caplog.text.count("cannot be rotated") == 1


async def test_watching_goes_on_after_what_nobody_expected(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(local_workers, "_POLL_S", 0.02)
    monkeypatch.setattr(local_workers, "_BACKOFF_S", (0.05, 0.1))
    await farm.tracker()
    first = farm.pids()["local-1"]

    def unexpected(*_: object) -> bool:
        monkeypatch.undo()
        monkeypatch.setattr(local_workers, "_BACKOFF_S", (0.05, 0.1))
        raise RuntimeError("unexpected")

    monkeypatch.setattr(LocalWorkers, "_lives", unexpected)
    await until(lambda: "worker local-1 could not be watched" in caplog.text)
    assert farm.pids() == {"local-1": first}
    os.kill(first, signal.SIGKILL)
    await until(lambda: farm.pids().get("local-1") not in (None, first))
