"""What binds a task, and how long it takes at least."""

from __future__ import annotations

import pytest

from tvm_farm.tracker.domain import Peaks, TaskOutlook
from tvm_farm.tracker.domain.roofline import Bound, attainable_s, bound, model_attainable_s

#: 10 GFLOP/s and 2 GB/s: the ridge is at 5 operations a byte.
PEAKS = Peaks(10e9, 2e9)


@pytest.mark.parametrize(
    ("flops", "touched", "by", "seconds"),
    [
        (10e9, 1_000_000, Bound.COMPUTE, 1.0),
        (1e6, 2_000_000_000, Bound.MEMORY, 1.0),
        (0.0, 1_000_000, Bound.MEMORY, 0.0005),
        (5e6, 1_000_000, Bound.MEMORY, 0.0005),
        (5.1e6, 1_000_000, Bound.COMPUTE, 0.00051),
        (0.0, 0, Bound.MEMORY, 0.0),
    ],
    ids=["computes", "streams", "copies", "on the ridge", "just beyond it", "does nothing"],
)
def test_a_task(flops: float, touched: int, by: Bound, seconds: float) -> None:
    task = TaskOutlook("t", 1, flops, touched)
    assert (bound(task, PEAKS), attainable_s(task, PEAKS)) == (by, pytest.approx(seconds))


def test_a_model_is_all_calls_of_its_tasks() -> None:
    tasks = [
        TaskOutlook("conv", 3, 10e9, 1),
        TaskOutlook("copy", 2, 0.0, 1_000_000_000),
        TaskOutlook("none", 0, 1e9, 1),
    ]
    assert model_attainable_s(tasks, PEAKS) == pytest.approx(3 * 1.0 + 2 * 0.5)
    assert model_attainable_s([], PEAKS) == 0.0
