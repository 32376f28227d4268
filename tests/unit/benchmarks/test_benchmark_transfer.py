"""What a warm search saves, read off two curves: pure."""

from __future__ import annotations

import pytest

from benchmarks.transfer import LEVELS, best_so_far, median_curve, savings, trials_until

WEIGHTS = {"conv": 2, "pool": 1}
UNTUNED_S = {"conv": 10.0, "pool": 1.0}


def test_a_curve_has_a_point_before_the_first_trial_and_one_after_each() -> None:
    trials = [("conv", 5.0), ("conv", None), ("pool", 3.0), ("other", 0.1), ("conv", 7.0), ("pool", 0.5)]
    assert best_so_far(trials, WEIGHTS, UNTUNED_S) == [21.0, 11.0, 11.0, 11.0, 11.0, 11.0, 10.5]


@pytest.mark.parametrize(("seconds", "trials"), [(30.0, 0), (21.0, 0), (20.0, 1), (11.0, 1), (10.0, None)])
def test_trials_until_a_latency(seconds: float, trials: int | None) -> None:
    assert trials_until([21.0, 11.0, 11.0], seconds) == trials


def test_savings_are_told_at_multiples_of_what_the_cold_search_ends_with() -> None:
    cold = [100.0, 50.0, 19.0, 12.0, 10.0]
    warm = [100.0, 11.0, 10.5, 10.5, 10.5]
    assert {level: (a, b) for level, a, b in savings(cold, warm)} == {1.25: (3, 1), 2.0: (2, 1), 1.0: (4, None)}
    assert LEVELS[0] == 1.25


def test_the_median_curve_is_taken_trial_by_trial() -> None:
    assert median_curve([[3.0, 1.0], [9.0, 2.0], [4.0, 9.0]]) == [4.0, 2.0]
