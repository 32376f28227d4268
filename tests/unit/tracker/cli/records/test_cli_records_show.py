"""Where one measurement's time went, in words."""

from __future__ import annotations

from tests.support.records import make_record
from tvm_farm.tracker.cli.records.show import _time
from tvm_farm.tracker.domain import Timeline


def test_each_step_that_took_time_is_told_once() -> None:
    record = make_record("t", timeline=Timeline(*map(float, range(1, 13))))
    assert _time(record) == (
        "searched 1.00 s, waited for a builder 1.00 s, compiled 1.00 s, linked 1.00 s, handed over 1.00 s, "
        "waited for a board 1.00 s, travelled 2.00 s, waited on the board 1.00 s, ran 1.00 s, stored 1.00 s"
    )


def test_what_did_not_happen_is_not_told() -> None:
    assert _time(make_record("t", timeline=Timeline(proposed_s=1.0, stored_s=5.0))) == ""
    assert _time(make_record("t", timeline=Timeline(queued_s=1.0, sent_s=1.0))) == "", "nor what took no time"
