"""How one budget is shared by several classes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tvm_farm.protos.measurement import Artifact
from tvm_farm.tracker.domain import JobKind, JobSpec
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.scheduling.budget_shares import shared

SPEC = JobSpec(JobKind.TUNE, "net", Artifact("00", 1), "lab", user="ada", priority=2, seed=7)


@pytest.mark.parametrize(
    ("trials", "seconds", "classes", "shares"),
    [
        (600, 0.0, "abc", [(200, 0.0), (200, 0.0), (200, 0.0)]),
        (601, 0.0, "abc", [(201, 0.0), (200, 0.0), (200, 0.0)]),
        (602, 0.0, "abc", [(201, 0.0), (201, 0.0), (200, 0.0)]),
        (3, 0.0, "abc", [(1, 0.0)] * 3),
        (0, 1800.0, "abc", [(0, 600.0)] * 3),
        (5, 90.0, "ab", [(3, 45.0), (2, 45.0)]),
        (7, 60.0, "a", [(7, 60.0)]),
        (0, 0.0, "ab", [(0, 0.0), (0, 0.0)]),
    ],
)
def test_shares_add_up_to_the_budget(
    trials: int, seconds: float, classes: str, shares: list[tuple[int, float]]
) -> None:
    spec = replace(SPEC, max_trials=trials, budget_s=seconds)
    got = shared(spec, list(classes))
    assert [(share.max_trials, share.budget_s) for share in got] == shares
    assert sum(share.max_trials for share in got) == trials
    assert sum(share.budget_s for share in got) == pytest.approx(seconds)
    for device_class, share in zip(classes, got, strict=True):
        same = replace(share, device_class="", max_trials=trials, budget_s=seconds)
        assert (share.device_class, same) == (device_class, spec)


def test_no_class_is_left_without_a_limit() -> None:
    with pytest.raises(InvalidRequest, match=r"2 trials cannot be shared by the 3 device classes .*: a, b, c"):
        shared(replace(SPEC, max_trials=2, budget_s=60.0), ["a", "b", "c"])
