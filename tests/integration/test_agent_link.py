"""The link alone: what it finds out about a tracker that says nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.slow_link import SlowLink
from tests.support.stand_in_tracker import StandInTracker
from tvm_farm.agent.link.link import Link
from tvm_farm.agent.session.events import Event, Heard, LinkDown, LinkUp
from tvm_farm.agent.session.messages import Draining, GiveBack, Heartbeat, Joined, Started
from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import fleet_pb2
from tvm_farm.protos.join import Join
from tvm_farm.protos.measurement import Measurement, Outcome, OutputTensor

_ROOT = Path(__file__).parents[2]
_SERVE = """
import asyncio
from tests.support.stand_in_tracker import StandInTracker

async def main():
    async with StandInTracker() as tracker:
        print(tracker.port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
JOIN = Join(PROTOCOL_VERSION, "id", "board", Fingerprint(), RunnerInfo(RunnerMode.FULL), {}, 1)


@pytest.fixture
async def tracker_process() -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The stand-in as a process that can be stopped: its address and itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVE, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(_ROOT)}
    )
    try:
        assert process.stdout is not None
        port = int(await asyncio.wait_for(process.stdout.readline(), 20))
        yield f"127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_frozen_tracker_is_found_out(tracker_process: tuple[str, asyncio.subprocess.Process]) -> None:
    address, process = tracker_process
    events: asyncio.Queue[Event] = asyncio.Queue()
    link = Link(events.put_nowait, asyncio.create_task, ping_every_s=0.5)

    async def next_event() -> Event:
        return await asyncio.wait_for(events.get(), 20)

    try:
        await link.open([address])
        assert await next_event() == LinkUp()
        link.send(JOIN)
        joined = await next_event()
        assert isinstance(joined, Heard)
        assert isinstance(joined.message, Joined)
        process.send_signal(signal.SIGSTOP)
        assert isinstance(await next_event(), LinkDown)
    finally:
        await link.close()


async def test_a_large_measurement_on_a_slow_link_is_no_dead_link() -> None:
    """Its 2 MB take ten times as long as a ping may: beside it the stream goes on."""
    events: asyncio.Queue[Event] = asyncio.Queue()
    outputs = (OutputTensor((1 << 19,), "float32", bytes(2 << 20)),)
    async with StandInTracker() as tracker, SlowLink(tracker.port, 200_000, forth=True) as slow:
        link = Link(events.put_nowait, asyncio.create_task, ping_every_s=0.5)
        try:
            await link.open([f"127.0.0.1:{slow.port}"])
            assert await asyncio.wait_for(events.get(), 20) == LinkUp()
            link.send(JOIN)
            await tracker.joined()
            link.send(Measurement("large", Outcome.OK, outputs=outputs))
            link.send(Measurement("small", Outcome.OK))
            await tracker.until(lambda: tracker.measured() == ["small"])
            await tracker.until(lambda: tracker.reported == ["large"], 60)
            heard = [events.get_nowait() for _ in range(events.qsize())]
            assert not [event for event in heard if isinstance(event, LinkDown)]
        finally:
            await link.close()


async def test_a_tracker_that_is_older_gets_it_on_the_stream() -> None:
    events: asyncio.Queue[Event] = asyncio.Queue()
    outputs = (OutputTensor((1 << 18,), "float32", bytes(1 << 20)),)
    async with StandInTracker() as tracker:
        tracker.takes_reports = False
        link = Link(events.put_nowait, asyncio.create_task)
        try:
            await link.open([tracker.address])
            link.send(JOIN)
            await tracker.joined()
            link.send(Measurement("large", Outcome.OK, outputs=outputs))
            assert (await tracker.measurement("large")).outputs == outputs
            assert tracker.reported == []
        finally:
            await link.close()


class Swallowing(StandInTracker):
    """What comes beside the stream is lost without a word, as on a way that is gone."""

    async def Report(self, request: Any, context: Any) -> fleet_pb2.ReportReply:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_way_beside_the_stream_that_is_gone_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvm_farm.agent.link.link._SILENT_S", 0.2)
    events: asyncio.Queue[Event] = asyncio.Queue()
    outputs = (OutputTensor((1 << 16,), "float32", bytes(1 << 18)),)
    monkeypatch.setattr("tvm_farm.agent.link.link._SLOWEST_BYTES_S", 1e6)
    async with Swallowing() as tracker:
        link = Link(events.put_nowait, asyncio.create_task)
        try:
            await link.open([tracker.address])
            link.send(JOIN)
            await tracker.joined()
            link.send(Measurement("large", Outcome.OK, outputs=outputs))
            while not isinstance(event := await asyncio.wait_for(events.get(), 20), LinkDown):
                pass
            assert event.reason.startswith("a measurement did not arrive")
        finally:
            await link.close()


async def test_the_first_address_that_answers_is_taken(
    tracker_process: tuple[str, asyncio.subprocess.Process],
) -> None:
    address, _ = tracker_process
    events: asyncio.Queue[Event] = asyncio.Queue()
    link = Link(events.put_nowait, asyncio.create_task)
    try:
        await link.open(["127.0.0.1:1", address])
        link.send(JOIN)
        heard = [await asyncio.wait_for(events.get(), 20) for _ in range(2)]
        assert isinstance(heard[1], Heard)
    finally:
        await link.close()


async def test_a_lost_stream_leaves_no_task(tracker_process: tuple[str, asyncio.subprocess.Process]) -> None:
    address, process = tracker_process
    before = asyncio.all_tasks()
    events: asyncio.Queue[Event] = asyncio.Queue()
    link = Link(events.put_nowait, asyncio.create_task)
    await link.open([address])
    link.send(JOIN)
    for _ in (LinkUp, Joined):
        await asyncio.wait_for(events.get(), 20)
    process.kill()
    await process.wait()
    assert isinstance(await asyncio.wait_for(events.get(), 20), LinkDown)
    await link.close()
    if left := asyncio.all_tasks() - before:
        _, waiting = await asyncio.wait(left, timeout=5)
        assert not waiting


async def test_closing_says_nothing(tracker_process: tuple[str, asyncio.subprocess.Process]) -> None:
    address, _ = tracker_process
    events: asyncio.Queue[Event] = asyncio.Queue()
    link = Link(events.put_nowait, asyncio.create_task)
    await link.open([address])
    await link.close()
    assert {type(events.get_nowait()) for _ in range(events.qsize())} <= {LinkUp}


async def test_what_is_said_at_once_leaves_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # As long as a busy machine takes to come back here.
    monkeypatch.setattr("tvm_farm.agent.link.outgoing._LINGER_S", 2.0)
    async with StandInTracker() as tracker:
        events: asyncio.Queue[Event] = asyncio.Queue()
        link = Link(events.put_nowait, asyncio.create_task)

        def heard() -> list[list[str]]:
            kinds = ([field.name for field, _ in message.ListFields()] for message in tracker.heard)
            return [[kind for kind in each if kind != "sent_unix_s"] for each in kinds]

        try:
            await link.open([tracker.address])
            link.send(JOIN)
            link.send(Heartbeat())
            await tracker.until(lambda: len(tracker.heard) == 2)
            assert heard() == [["join"], ["heartbeat"]]
            for message in (Measurement("a", Outcome.OK), Started("b"), Draining(), GiveBack(("c",), "full")):
                link.send(message)
            await tracker.until(lambda: len(tracker.heard) == 3)
            assert sorted(heard()[-1]) == ["draining", "given_back", "measurements", "started"]
            link.send(Started("d"))
            await asyncio.sleep(0.05)
            link.send(Heartbeat())
            await tracker.until(lambda: len(tracker.heard) == 4)
            assert sorted(heard()[-1]) == ["heartbeat", "started"], "word of a start waits for company"
            link.send(Started("e"))
            await tracker.until(lambda: len(tracker.heard) == 5)
            assert heard()[-1] == ["started"], "but not for ever"
            tracker.takes_reports = False  # as an older one, which gets all on the stream
            outputs = (OutputTensor((40 << 20,), "uint8", bytes(40 << 20)),)
            for trial in ("d", "e"):
                link.send(Measurement(trial, Outcome.OK, outputs=outputs))
            link.send(Measurement("f", Outcome.OK))
            await tracker.until(lambda: sorted(tracker.measured()) == ["a", "d", "e", "f"])
        finally:
            await link.close()


async def test_word_of_a_trial_waits_its_own_time_not_the_rest_of_another_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvm_farm.agent.link.outgoing._LINGER_S", 0.2)
    async with StandInTracker() as tracker:
        events: asyncio.Queue[Event] = asyncio.Queue()
        link = Link(events.put_nowait, asyncio.create_task)
        try:
            await link.open([tracker.address])
            link.send(JOIN)
            for message in (Started("a"), Measurement("a", Outcome.OK)):
                link.send(message)
            await tracker.until(lambda: tracker.measured() == ["a"])
            monkeypatch.setattr("tvm_farm.agent.link.outgoing._LINGER_S", 60.0)
            before = len(tracker.heard)
            link.send(Started("b"))
            await asyncio.sleep(0.5)
            assert len(tracker.heard) == before
            link.send(Measurement("b", Outcome.OK))
            await tracker.until(lambda: tracker.measured() == ["a", "b"])
            assert list(tracker.heard[-1].started) == ["b"]
        finally:
            await link.close()


async def test_results_wait_for_each_other_while_nobody_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async with StandInTracker() as tracker:
        events: asyncio.Queue[Event] = asyncio.Queue()
        link = Link(events.put_nowait, asyncio.create_task)
        try:
            await link.open([tracker.address])
            link.send(JOIN)
            link.send(Measurement("a", Outcome.OK), patient=True)
            await tracker.until(lambda: tracker.measured() == ["a"])  # but not for ever
            monkeypatch.setattr("tvm_farm.agent.link.outgoing._GATHER_S", 60.0)
            before = len(tracker.heard)
            for trial in "bcde":
                link.send(Measurement(trial, Outcome.OK), patient=True)
                await asyncio.sleep(0.01)
            await tracker.until(lambda: tracker.measured() == ["a", "b", "c", "d", "e"])
            assert len(tracker.heard) == before + 1
        finally:
            await link.close()
