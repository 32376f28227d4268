"""The store's thread: groups, full disks, refusals. The store is a file, which can be full."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.records import make_job, make_record
from tests.support.waiting import one_turn
from tvm_farm.tracker.domain import Record, RecordFilter
from tvm_farm.tracker.domain.errors import StoreFull
from tvm_farm.tracker.services import store_thread
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.store.sqlite import SqliteStore


class Room:
    """Limits and frees the store's room."""

    def __init__(self, thread: StoreThread) -> None:
        assert isinstance(thread.store, SqliteStore)
        self.thread = thread
        self.db = thread.store._file.db

    async def limit(self) -> None:
        await self.thread.run(self._pages, 2)

    async def free(self) -> None:
        await self.thread.run(self._pages, 100_000)

    def _pages(self, extra: int) -> None:
        pages = self.db.execute("PRAGMA page_count").fetchone()[0]
        self.db.execute(f"PRAGMA max_page_count = {pages + extra}").fetchone()


@pytest.fixture
async def thread(tmp_path: Path) -> AsyncIterator[StoreThread]:
    thread = StoreThread(SqliteStore(tmp_path / "tracker.db"), asyncio.get_running_loop())
    yield thread
    await thread.stop()


async def put(thread: StoreThread, *records: Record) -> list[Record]:
    kept: list[Record] = []
    done = asyncio.Event()

    def one(record: Record) -> None:
        kept.append(record)
        if len(kept) == len(records):
            done.set()

    for record in records:
        thread.put(record, one)
    await asyncio.wait_for(done.wait(), 10)
    return kept


async def count(thread: StoreThread) -> int:
    return len((await thread.run(thread.store.records.page, RecordFilter(), None, 0, 10_000))[0])


async def test_records_are_kept_in_groups_and_stamped(thread: StoreThread) -> None:
    kept = await put(thread, *(make_record(f"t{n}") for n in range(400)))
    assert [r.trial_id for r in kept] == [f"t{n}" for n in range(400)]
    assert all(r.measurement.timeline.stored_s > 1e9 for r in kept)
    assert await count(thread) == 400
    times = thread.write_times
    assert times.records == 400
    assert times.groups < 200


async def test_an_earlier_record_is_what_is_told(thread: StoreThread) -> None:
    await put(thread, make_record("t", (0.5,)))
    (kept,) = await put(thread, make_record("t", (0.1,)))
    assert kept.measurement.run_secs == (0.5,)


async def test_a_call_raises_where_it_was_asked(thread: StoreThread) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await thread.run(fail)
    with pytest.raises(ZeroDivisionError):
        await thread.insist(fail)
    assert await count(thread) == 0


async def test_a_full_disk_delays_and_loses_nothing(thread: StoreThread, caplog: pytest.LogCaptureFixture) -> None:
    room = Room(thread)
    await room.limit()
    with caplog.at_level(logging.WARNING):
        records = [make_record(f"t{n}", detail="x" * 3000) for n in range(50)]
        waiting = asyncio.ensure_future(put(thread, *records))
        insisting = asyncio.ensure_future(thread.insist(thread.store.jobs.add, make_job(), ""))
        with pytest.raises(StoreFull):
            await thread.run(thread.store.records.add, [make_record("u", detail="x" * 100_000)])
        assert await count(thread) == 0
        assert not waiting.done()
        await room.free()
        assert len(await waiting) == 50
        assert (await insisting).id == "net-1"
    assert await count(thread) == 50
    told = [r.getMessage() for r in caplog.records]
    assert sum("full" in line for line in told) == 1
    assert "can be written again" in told[-1]


async def test_one_refused_record_does_not_hold_up_the_others(
    thread: StoreThread, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The next look at it comes after this test.
    monkeypatch.setattr(store_thread, "_RETRY_S", (0.2, 3600.0))
    # No such job: the foreign key refuses it.
    thread.put(make_record("bad", job_id="nobody"), lambda record: pytest.fail("it was not stored"))
    with caplog.at_level(logging.ERROR):
        kept = await put(thread, *(make_record(f"t{n}") for n in range(20)))
        # Nor those that come later.
        kept += await put(thread, make_record("later"))
    assert len(kept) == 21
    assert await count(thread) == 21
    assert [line.getMessage() for line in caplog.records] == ["the record of trial bad was refused by the store"]


async def test_a_refused_record_is_tried_again(thread: StoreThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_thread, "_RETRY_S", (0.02, 0.02))
    waiting = asyncio.ensure_future(put(thread, make_record("t", job_id="net-1")))
    await put(thread, make_record("other"))
    assert not waiting.done()
    await thread.run(thread.store.jobs.add, make_job(), "")
    assert [record.trial_id for record in await waiting] == ["t"]


async def test_what_waits_for_room_is_tried_once_more_at_the_end(tmp_path: Path) -> None:
    thread = StoreThread(SqliteStore(tmp_path / "tracker.db"), asyncio.get_running_loop())
    room = Room(thread)
    await room.limit()
    told: list[Record] = []
    thread.put(make_record("t", detail="x" * 100_000), told.append)
    assert await count(thread) == 0
    assert thread._retry_at > 0
    # Room is made without a word to the thread, which would try again in a while.
    thread._retry_at += 3600
    await room.free()
    await thread.stop()
    await one_turn()
    assert [record.trial_id for record in told] == ["t"]


class Checkpoints(SqliteStore):
    """``done`` is set by a checkpoint of the job net-1; the next ones fail with ``errors``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.errors: list[Exception] = []
        self.done = threading.Event()

    def checkpoint(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        super().checkpoint()
        if self.jobs.get("net-1") is not None:
            self.done.set()


@pytest.mark.parametrize("error", [StoreFull("the disk is full"), OSError("I/O error")])
async def test_a_failed_checkpoint_is_made_again(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_thread, "_CHECKPOINT_S", 0.02)
    store = Checkpoints(tmp_path / "tracker.db")
    store.errors = [error]
    thread = StoreThread(store, asyncio.get_running_loop())
    await thread.run(thread.store.jobs.add, make_job(), "")
    assert await asyncio.to_thread(store.done.wait, 10)
    assert store.errors == []
    # The thread lives.
    assert await thread.run(thread.store.jobs.get, "net-1") is not None
    await thread.stop()


async def test_what_insisted_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_thread, "_CHECKPOINT_S", 0.02)
    store = Checkpoints(tmp_path / "tracker.db")
    thread = StoreThread(store, asyncio.get_running_loop())
    room = Room(thread)
    await room.limit()
    waiting = asyncio.ensure_future(thread.insist(thread.store.jobs.add, make_job(phase="x" * 100_000), ""))
    await one_turn()
    await room.free()
    await waiting
    assert await asyncio.to_thread(store.done.wait, 10)
    await thread.stop()
