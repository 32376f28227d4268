"""How long a candidate may be compiled, by what its task's others took."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tvm_farm.tracker.tuning.building.limits import BuildLimits


@pytest.mark.parametrize(
    ("took", "limit_s"),
    [
        ([], 2.5),
        ([0.2] * 5, 2.5),  # too few to know
        ([0.2] * 6, 0.7),
        ([0.1, 0.2, 0.2, 0.2, 0.2, 2.0], 0.7),  # one that takes long moves nothing
        ([0.01] * 10, 0.25),
        ([1.0] * 10, 2.5),
        ([0.2] * 6 + [1.0] * 40, 2.5),  # what the task takes now counts
    ],
)
def test_a_task_has_its_own_limit(took: Sequence[float], limit_s: float) -> None:
    limits = BuildLimits(2.5)
    for seconds in took:
        limits.took("task", seconds)
        limits.took("", seconds)
    assert limits.limit_s("task") == pytest.approx(limit_s)
    assert limits.limit_s("another task") == 2.5
    assert limits.limit_s("") == 2.5


def test_limits_that_are_run_into_grow() -> None:
    limits = BuildLimits(10.0)
    for _ in range(6):
        limits.took("task", 0.2)
    before = limits.limit_s("task")
    for _ in range(30):
        limits.took("task", limits.limit_s("task"))
    assert limits.limit_s("task") > 2 * before
