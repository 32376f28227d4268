"""Questions beside the thread that writes: orders that no index has, and that they do no harm."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support.records import make_record
from tests.support.small_log import fill
from tvm_farm.tracker.domain import Outcome, RecordFilter, RecordOrder
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.store import Store


@pytest.fixture
def log(store: Store) -> Store:
    """Open while it is asked, as of a running tracker."""
    fill(store)
    return store


def ordered(log: Store, order: RecordOrder, **query: Any) -> list[str]:
    numbers = log.reader().numbers(RecordFilter(order=order, **query), None)
    return [record.trial_id for record in log.records.numbered(numbers)]


@pytest.mark.parametrize(
    ("order", "query", "trials"),
    [
        (RecordOrder.LATENCY, {}, ["t7", "t6", "t5", "t3", "t2", "t1"]),
        (RecordOrder.LATENCY, {"reverse": True}, ["t1", "t2", "t3", "t5", "t6", "t7"]),
        (RecordOrder.LATENCY, {"limit": 2}, ["t7", "t6"]),
        (RecordOrder.LATENCY, {"workload": "w0"}, ["t6", "t2"]),
        (RecordOrder.LATENCY, {"shapes": ("1x64x56x56",)}, ["t7", "t5", "t3", "t1"]),
        (RecordOrder.LATENCY, {"user": "bob", "job_id": "net-1"}, ["t7", "t6", "t5"]),
        (RecordOrder.LATENCY, {"device_class": "pi4"}, ["t3", "t2", "t1"]),
        (RecordOrder.THROUGHPUT, {}, ["t6", "t2", "t7", "t5", "t3", "t1"]),
        (RecordOrder.THROUGHPUT, {"reverse": True, "limit": 1}, ["t1"]),
        (RecordOrder.BOARD_TIME, {}, ["t7", "t5", "t4", "t3", "t2", "t1", "t0"]),
        (RecordOrder.BOARD_TIME, {"outcome": Outcome.CRASH}, ["t4", "t0"]),
    ],
)
def test_orders(log: Store, order: RecordOrder, query: dict[str, Any], trials: list[str]) -> None:
    assert ordered(log, order, **query) == trials


def test_classes_of_a_pool_narrow_an_order(log: Store) -> None:
    wanted = RecordFilter(order=RecordOrder.LATENCY)
    assert len(log.reader().numbers(wanted, {"pi5", "pi6"})) == 3
    assert log.reader().numbers(wanted, set()) == []


def test_records_that_are_gone_are_left_out(log: Store) -> None:
    assert [record.trial_id for record in log.records.numbered([5, 99, 2])] == ["t4", "t1"]


def test_what_was_kept_is_seen_while_the_store_is_open(log: Store) -> None:
    reader = log.reader()
    latest = RecordFilter(order=RecordOrder.LATENCY)
    before = reader.numbers(latest, None)
    log.records.add([make_record("t8", (0.001,))])
    number, *others = reader.numbers(latest, None)
    assert others == before
    assert [record.trial_id for record in log.records.numbered([number])] == ["t8"]


def test_another_thread_asks_while_records_are_kept(log: Store) -> None:
    reader, counts = log.reader(), []

    def ask() -> None:
        while not counts or counts[-1] < 1006:
            counts.append(len(reader.numbers(RecordFilter(order=RecordOrder.LATENCY), None)))

    asking = threading.Thread(target=ask)
    asking.start()
    for n in range(100):
        log.records.add([make_record(f"u{n}.{m}") for m in range(10)])
    asking.join(60)
    assert not asking.is_alive()
    # Each answer is of a moment between two groups.
    assert counts == sorted(counts)
    assert {(count - 6) % 10 for count in counts} == {0}


def test_only_a_store_that_understands_sql_is_asked_in_it(log: Store) -> None:
    sql = log.reader().sql
    assert sql is None or sql.answer("SELECT 1", 0).rows == ((1,),)


def test_a_question_has_its_seconds(log: Store) -> None:
    log.records.add([make_record(f"u{n}") for n in range(5000)])
    latest = RecordFilter(order=RecordOrder.LATENCY, user="ada")
    with pytest.raises(InvalidRequest, match=r"^that takes longer than 0 s: narrow it"):
        log.reader(seconds=0.0).numbers(latest, None)
    closed = log.reader()
    closed.close()
    with pytest.raises(InvalidRequest, match=r"^that takes longer than 30 s: narrow it"):
        closed.numbers(latest, None)
