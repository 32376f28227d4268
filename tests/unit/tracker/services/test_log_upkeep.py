"""Imports and compactions as a tracker serves them. The store is real, in memory, on its own thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import make_job, make_record
from tests.support.waiting import one_turn
from tvm_farm.tracker.domain import JobState, Outcome, RecordFilter
from tvm_farm.tracker.domain.errors import InvalidRequest, NotPossible
from tvm_farm.tracker.domain.imports import ImportPart
from tvm_farm.tracker.services.log_upkeep import PART_LIMIT, LogUpkeep
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.store import open_store

FIRST = ImportPart("lab-b.db", "eve")


@pytest.fixture
async def thread() -> AsyncIterator[StoreThread]:
    thread = StoreThread(open_store("memory:"), asyncio.get_running_loop())
    yield thread
    await thread.stop()


async def stream(*parts: ImportPart) -> AsyncIterator[ImportPart]:
    for part in parts:
        yield part


async def kept(thread: StoreThread) -> list[Any]:
    return (await thread.run(thread.store.records.page, RecordFilter(), None, 0, 100))[0]


async def test_an_import_in_many_calls_is_one_import(thread: StoreThread) -> None:
    upkeep = LogUpkeep(thread)
    first = await upkeep.take(stream(FIRST, ImportPart(records=(make_record("a"),))))
    assert first.imported_unix_s > 1e9
    goes_on = replace(FIRST, imported_unix_s=first.imported_unix_s)
    second = await upkeep.take(stream(goes_on, *(ImportPart(records=(make_record(t),)) for t in "abc")))
    assert (second.records, second.known_records) == (2, 1)
    origins = {(record.imported_from, record.imported_unix_s) for record in await kept(thread)}
    assert origins == {("lab-b.db", first.imported_unix_s)}


async def test_what_says_ok_without_usable_timings_was_not_timed(thread: StoreThread) -> None:
    await LogUpkeep(thread).take(stream(FIRST, ImportPart(records=(make_record("t", (-1.0,)),))))
    [record] = await kept(thread)
    assert (record.measurement.outcome, record.measurement.run_secs) == (Outcome.RUN_ERROR, ())


async def test_a_class_that_another_farm_calls_otherwise_has_its_name_here(thread: StoreThread) -> None:
    names = {"pi4": "pi4-of-now"}
    records = tuple(make_record(n, device_class=n) for n in ("pi4", "x86"))
    await LogUpkeep(thread, lambda name: names.get(name, name)).take(stream(FIRST, ImportPart(records=records)))
    assert await thread.run(thread.store.records.classes) == ["pi4-of-now", "x86"]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((ImportPart(records=(make_record("t"),)),), "begins with its source"),
        ((FIRST, ImportPart(jobs=(make_job(state=JobState.RUNNING),))), "net-1 has not ended"),
        ((FIRST, ImportPart(records=(make_record("t", workload=""),))), "lacks its trial"),
        ((FIRST, ImportPart(records=(make_record("t"),) * (PART_LIMIT + 1))), f"at most {PART_LIMIT} records"),
    ],
)
async def test_what_makes_no_sense_is_refused(thread: StoreThread, parts: tuple[ImportPart, ...], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        await LogUpkeep(thread).take(stream(*parts))
    assert await kept(thread) == []
    assert await thread.run(thread.store.jobs.newest) == []


async def test_one_compaction_at_a_time_and_whoever_leaves_ends_it(thread: StoreThread) -> None:
    upkeep = LogUpkeep(thread)
    records = [make_record(f"t{n}", (0.1 + n,)) for n in range(50)]
    await thread.run(thread.store.records.add, records)
    first = upkeep.compact(1, dry_run=False)
    plan = await anext(first)
    assert (plan.records, plan.to_remove, plan.removed) == (50, 48, 0)
    with pytest.raises(NotPossible, match="being compacted already"):
        await anext(upkeep.compact(1, dry_run=True))
    await first.aclose()
    assert len(await kept(thread)) == 50
    assert [step.to_remove async for step in upkeep.compact(1, dry_run=True)] == [48]
    assert len(await kept(thread)) == 50
    steps = [step async for step in upkeep.compact(1, dry_run=False)]
    assert (steps[-1].done, steps[-1].removed) == (True, 48)
    assert {record.trial_id for record in await kept(thread)} == {"t0", "t49"}
    with pytest.raises(InvalidRequest, match="at least the best one"):
        await anext(upkeep.compact(0, dry_run=True))


async def test_measurements_are_stored_while_a_log_is_compacted(thread: StoreThread) -> None:
    upkeep = LogUpkeep(thread)
    records = [make_record(f"t{n}", (0.1 + n,), trace=f"[{n}]") for n in range(3000)]
    await thread.run(thread.store.records.add, records)
    new: list[str] = []
    number = 0
    async for _ in upkeep.compact(5, dry_run=False):
        thread.put(make_record(f"new{number}", (9.0,)), lambda record: new.append(record.trial_id))
        number += 1
    await thread.run(thread.store.records.count)
    await one_turn()
    found = {record.trial_id for record in await kept(thread)}
    assert new == [f"new{n}" for n in range(number)]
    assert found == {*(f"t{n}" for n in range(5)), "t2999", *new}
