"""What is kept of a candidate between runner and database."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("tvm")

from tvm_farm.tracker.domain import Measurement, Outcome, Preparation, TimingPlan
from tvm_farm.tracker.script.ledger import Entry, Kernel, Ledger


def entry(trial_id: str) -> Entry:
    return Entry(Measurement(trial_id, Outcome.OK), TimingPlan(), "ada")


def test_each_measurement_of_a_candidate_is_taken_once_the_first_first() -> None:
    ledger = Ledger()
    ledger.enter("a", entry("a1"))
    ledger.enter("b", entry("b1"))
    ledger.enter("a", entry("a2"))
    assert [ledger.take(key) for key in ("a", "a", "a")] == [entry("a1"), entry("a2"), None]
    assert (ledger.take("b"), ledger.take("b"), ledger.take("c")) == (entry("b1"), None, None)


def test_a_file_is_known_for_its_candidate() -> None:
    ledger, kernel = Ledger(), Kernel("a", Preparation(built_s=2.0))
    ledger.built("/tmp/1/kernel.so", kernel)
    assert ledger.kernel("/tmp/1/kernel.so") == kernel
    assert ledger.kernel("/tmp/2/kernel.so") is None


def test_what_nobody_asks_for_is_forgotten_the_oldest_first() -> None:
    ledger = Ledger(most=2)
    for key in ("a", "b", "a", "c"):
        ledger.enter(key, entry(key))
        ledger.built(key, Kernel(key, Preparation()))
    assert ledger.take("b") is None
    assert [ledger.take(key) for key in ("a", "a", "c")] == [entry("a"), entry("a"), entry("c")]
    assert [ledger.kernel(key) is None for key in ("a", "b", "c")] == [True, False, False]


def test_threads_lose_nothing() -> None:
    ledger = Ledger()

    def work(name: str) -> None:
        for number in range(500):
            ledger.enter(str(number % 7), entry(f"{name}{number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [ledger.take(str(number % 7)) for number in range(2000)]
    assert len({one.measurement.trial_id for one in taken if one is not None}) == 1500
