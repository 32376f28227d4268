"""Share of the last minute."""

from __future__ import annotations

import pytest

from tvm_farm.tracker.domain.utilisation import Utilisation


@pytest.mark.parametrize(
    ("spans", "now", "share"),
    [
        ([], 100.0, 0.0),
        ([(100.0, 30.0)], 100.0, 0.5),
        ([(100.0, 60.0)], 100.0, 1.0),
        ([(70.0, 30.0)], 100.0, 0.5),
        ([(50.0, 30.0)], 100.0, 10 / 60),  # 20..50, of which 40..50 is in the window
        ([(30.0, 10.0)], 100.0, 0.0),
        ([(80.0, 20.0), (90.0, 20.0)], 100.0, 0.5),  # they overlap by a clock's error: 60..90
        ([(99.0, 500.0)], 100.0, 59 / 60),
    ],
)
def test_share_of_a_minute(spans: list[tuple[float, float]], now: float, share: float) -> None:
    utilisation = Utilisation(since=0.0)
    for end, seconds in spans:
        utilisation.add(end, seconds)
    assert utilisation.share(now) == pytest.approx(share)


def test_a_newcomer_is_judged_by_the_time_it_is_there() -> None:
    utilisation = Utilisation(since=100.0)
    utilisation.add(110.0, 5.0)
    assert utilisation.share(110.0) == pytest.approx(0.5)
    assert Utilisation(since=100.0).share(100.0) == 0.0


def test_what_still_executes_counts() -> None:
    assert Utilisation(since=0.0).share(100.0, executing_since=70.0) == pytest.approx(0.5)
    assert Utilisation(since=0.0).share(100.0, executing_since=0.0) == pytest.approx(1.0)
