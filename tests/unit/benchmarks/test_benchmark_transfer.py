"""What a warm search saves, read off two curves: pure."""

from __future__ import annotations

import pytest

from benchmarks import transfer
from benchmarks.result import Result
from benchmarks.transfer import best_so_far, median_curve, trials_until

WEIGHTS = {"conv": 2, "pool": 1}
UNTUNED_S = {"conv": 10.0, "pool": 1.0}


def test_a_curve_has_a_point_before_the_first_trial_and_one_after_each() -> None:
    trials = [("conv", 5.0), ("conv", None), ("pool", 3.0), ("other", 0.1), ("conv", 7.0), ("pool", 0.5)]
    assert best_so_far(trials, WEIGHTS, UNTUNED_S) == [21.0, 11.0, 11.0, 11.0, 11.0, 11.0, 10.5]


@pytest.mark.parametrize(("seconds", "trials"), [(30.0, 0), (21.0, 0), (20.0, 1), (11.0, 1), (10.0, None)])
def test_trials_until_a_latency(seconds: float, trials: int | None) -> None:
    assert trials_until([21.0, 11.0, 11.0], seconds) == trials


def test_the_median_curve_is_taken_trial_by_trial() -> None:
    assert median_curve([[3.0, 1.0], [9.0, 2.0], [4.0, 9.0]]) == [4.0, 2.0]


def test_the_table_has_a_line_for_each_engine() -> None:
    reached = {("cold", "ansor"): 150, ("class", "ansor"): 40, ("shape", "ansor"): 60}
    rows = [
        Result.of(f"transfer/{case}", metric, farm=reached.get((case, engine), 161), stock=None, machine="m", date="d")
        for engine, metric in zip(transfer.ENGINES, transfer.METRICS, strict=True)
        for case in transfer.CASES
    ]
    assert transfer.table(rows).splitlines()[2:] == [
        "| ansor | 150 | 40 | 60 |",
        f"| autotvm |{' more than 160 |' * 3}",
    ]
    assert "make bench NAMES=transfer" in transfer.table([])
