"""Latency against tuning time from a list of trials: pure."""

from __future__ import annotations

from benchmarks.curves import Trial, best_until, latency_curve

WEIGHTS = {"conv": 2, "pool": 1}
UNTUNED_S = {"conv": 10.0, "pool": 1.0}
TRIALS = [
    Trial(30.0, "conv", 4.0, "late and best"),
    Trial(10.0, "conv", 5.0, "first"),
    Trial(20.0, "conv", 7.0, "worse"),
    Trial(20.0, "conv", None, "failed"),
    Trial(20.0, "pool", 3.0, "worse than untuned"),
    Trial(25.0, "other model", 0.1, "not ours"),
]


def test_a_task_counts_with_its_best_so_far_and_untuned_before() -> None:
    curve = latency_curve(TRIALS, WEIGHTS, UNTUNED_S, until_s=60.0)
    assert curve == [(0.0, 21.0), (10.0, 11.0), (30.0, 9.0), (60.0, 9.0)]


def test_what_was_answered_too_late_does_not_count() -> None:
    assert latency_curve(TRIALS, WEIGHTS, UNTUNED_S, until_s=29.0) == [(0.0, 21.0), (10.0, 11.0), (29.0, 11.0)]


def test_the_best_trials_by_a_moment_are_the_fastest_that_ran() -> None:
    assert {key: trial.trace for key, trial in best_until(TRIALS, 20.0).items()} == {
        "conv": "first",
        "pool": "worse than untuned",
    }
    assert best_until(TRIALS, 60.0)["conv"].trace == "late and best"
    assert best_until(TRIALS, 0.0) == {}
