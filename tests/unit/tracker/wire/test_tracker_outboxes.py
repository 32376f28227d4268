"""What leaves for boards and clients together, in what order, and what waits for company."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.measure_client import request
from tests.support.waiting import one_turn
from tvm_farm.protos.farm.v1 import fleet_pb2
from tvm_farm.tracker.domain import Capacity, Measurement, Outcome, OutputTensor, Upgrade
from tvm_farm.tracker.measuring.board import Acknowledge, Cancel
from tvm_farm.tracker.wire import outboxes
from tvm_farm.tracker.wire.outboxes import BoardOutbox, ReplyOutbox
from tvm_farm.tracker.wire.requests import seal


class Wire:
    """Stands where gRPC does. ``free`` cleared: a write does not end."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.free = asyncio.Event()
        self.free.set()
        self._more = asyncio.Event()

    async def write(self, message: Any) -> None:
        self.written.append(fleet_pb2.TrackerMessage.FromString(message) if isinstance(message, bytes) else message)
        self._more.set()
        await self.free.wait()

    async def has(self, count: int) -> None:
        """So many messages were written."""
        while len(self.written) < count:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 10)


def trials(message: Any) -> list[str]:
    return [each.trial_id for each in message.measure]


def order(trial_id: str, library: bytes = b"x") -> Any:
    return seal(request(trial_id, library))


async def test_what_gathers_in_one_turn_or_during_a_write_leaves_together() -> None:
    wire, box = Wire(), BoardOutbox()
    wire.free.clear()
    writing = asyncio.ensure_future(box.write(wire))
    box.send(Acknowledge(("a",)))
    box.send(order("b"))
    box.send(order("c"))
    await wire.has(1)
    for trial_id in ("d", "e"):
        box.send(order(trial_id))
        await one_turn()
    wire.free.set()
    box.send(None)
    await asyncio.wait_for(writing, 10)
    assert [(list(m.acknowledged), trials(m)) for m in wire.written] == [(["a"], ["b", "c"]), ([], ["d", "e"])]


@pytest.mark.parametrize(
    ("sent", "cancelled", "acknowledged", "measured"),
    [
        ([order("t"), Cancel(("t",))], ["t"], [], []),
        ([Cancel(("t",)), order("t")], ["t"], [], ["t"]),
        ([order("t"), Cancel(("t",)), order("t")], ["t"], [], ["t"]),
        ([order("t"), Acknowledge(("t",))], [], ["t"], []),
        ([order("t"), order("u"), Cancel(("t",))], ["t"], [], ["u"]),
    ],
)
async def test_a_message_means_what_was_said_last(
    sent: list[Any], cancelled: list[str], acknowledged: list[str], measured: list[str]
) -> None:
    box = BoardOutbox()
    box.hurry()
    for item in sent:
        box.send(item)
    message = fleet_pb2.TrackerMessage.FromString(box.take() or b"")
    assert (list(message.cancelled), list(message.acknowledged), trials(message)) == (
        cancelled,
        acknowledged,
        measured,
    )
    assert box.take() is None


async def test_of_upgrades_the_last_word_leaves_at_once() -> None:
    wire, box = Wire(), BoardOutbox()
    writing = asyncio.ensure_future(box.write(wire))
    box.send(Upgrade("u1", "0.2.0", "d" * 64, 7))
    await wire.has(1)
    box.send(Upgrade("u2", "0.3.0", "e" * 64, 8))
    box.send(Upgrade())
    await wire.has(2)
    box.send(None)
    await asyncio.wait_for(writing, 10)
    first, none = (message.upgrade for message in wire.written)
    assert (first.id, first.version, first.digest, first.size) == ("u1", "0.2.0", "d" * 64, 7)
    assert wire.written[1].HasField("upgrade")
    assert (none.id, none.digest) == ("", "")


async def test_acknowledgements_wait_for_company_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "LINGER_S", 0.05)
    wire, box = Wire(), BoardOutbox()
    writing = asyncio.ensure_future(box.write(wire))
    loop = asyncio.get_running_loop()
    sent_at = loop.time()
    box.send(Acknowledge(("a",)))
    box.send(Acknowledge(()))
    await wire.has(1)
    assert loop.time() >= sent_at + 0.05
    (message,) = wire.written
    assert (list(message.acknowledged), message.heard) == (["a"], True)
    monkeypatch.setattr(outboxes, "LINGER_S", 1e6)
    box.send(Acknowledge(("b",)))
    box.hurry()
    await wire.has(2)
    box.send(Acknowledge(("c",)))
    await wire.has(3)
    box.send(None)
    await asyncio.wait_for(writing, 10)


async def test_orders_are_parted_where_a_message_would_be_too_large() -> None:
    box = BoardOutbox()
    for number in range(9):
        box.send(order(f"t{number}", b"x" * 200_000))
    messages = [fleet_pb2.TrackerMessage.FromString(part) for part in iter(box.take, None) if part]
    assert len(messages) == 2
    assert [trial for message in messages for trial in trials(message)] == [f"t{n}" for n in range(9)]


async def test_answers_leave_together_and_the_last_capacity_counts() -> None:
    box = ReplyOutbox()
    box.send(Capacity(1, 2))
    box.send(Capacity(3, 6))
    for trial_id in ("a", "b"):
        box.send(Measurement(trial_id, Outcome.OK))
    reply = box.take()
    assert ((reply.capacity.devices, reply.capacity.slots), [m.trial_id for m in reply.measurements]) == (
        (3, 6),
        ["a", "b"],
    )
    outputs = (OutputTensor((2 << 20,), "uint8", bytes(2 << 20)),)
    for trial_id in ("c", "d"):
        box.send(Measurement(trial_id, Outcome.OK, outputs=outputs))
    assert [len(reply.measurements) for reply in iter(box.take, None)] == [1, 1]


async def test_after_the_end_nothing_is_sent() -> None:
    wire, box = Wire(), ReplyOutbox()
    box.send(Measurement("a", Outcome.OK))
    box.send(None)
    box.send(Measurement("b", Outcome.OK))
    await asyncio.wait_for(box.write(wire), 10)
    assert [m.trial_id for reply in wire.written for m in reply.measurements] == ["a"]
