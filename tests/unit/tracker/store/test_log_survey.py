"""Which records a log can do without."""

from __future__ import annotations

from typing import Any

import pytest

from tvm_farm.tracker.domain import Outcome
from tvm_farm.tracker.store.log_survey import LogSurvey

#: A record that is kept beside those of a table: the newest.
LAST: dict[str, Any] = {"median_s": None, "outcome": Outcome.CRASH.value}


def look(median_s: float | None, kind: str = "a", **changes: Any) -> dict[str, Any]:
    outcome = Outcome.CRASH if median_s is None else Outcome.OK
    return {"kind": kind, "median_s": median_s, "outcome": outcome.value, **changes}


@pytest.mark.parametrize(
    ("records", "keep", "spare"),
    [
        ([], 1, []),
        ([look(0.3), look(0.1), look(0.2)], 1, [1, 3]),
        ([look(0.3), look(0.1), look(0.2)], 2, [1]),
        ([look(0.3), look(0.1), look(0.2)], 9, []),
        # Of equals the older one.
        ([look(0.1), look(0.1)], 1, [2]),
        ([look(0.3), look(0.1, "b"), look(0.2, "c")], 1, []),
        ([look(None), look(0.1)], 1, [1]),
        ([look(None, outcome=Outcome.WRONG_RESULT.value), look(0.1)], 1, []),
        ([look(0.1), look(0.1, copied=True)], 9, [2]),
        ([look(None, unfinished=True), look(0.3, unfinished=True), look(0.1), look(0.2)], 1, [4]),
        # Of untuned ones one, beside those that are kept.
        ([look(0.1), look(0.9, untuned=True), look(0.8, untuned=True)], 5, [2]),
    ],
)
def test_spare_records(records: list[dict[str, Any]], keep: int, spare: list[int]) -> None:
    survey = LogSurvey(keep)
    facts = {"kind": "last", "untuned": False, "unfinished": False, "copied": False}
    for number, record in enumerate([*records, LAST], 1):
        survey.weigh(number, **{**facts, **record})
    assert list(survey.spare()) == spare
    assert (survey.seen, survey.newest) == (len(records) + 1, len(records) + 1)


def test_the_newest_stays_whatever_it_is() -> None:
    survey = LogSurvey(1)
    for number in (3, 8):
        survey.weigh(number, "a", untuned=False, median_s=None, outcome="crash", unfinished=False, copied=False)
    assert list(survey.spare()) == [3]
