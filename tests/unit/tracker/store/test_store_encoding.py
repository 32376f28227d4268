"""Values as text: keys of values outlive fields that are added to them."""

from __future__ import annotations

import dataclasses

import pytest

from tvm_farm.tracker.domain import TimingPlan
from tvm_farm.tracker.store.encoding import decode, encode_changed


@dataclasses.dataclass(frozen=True)
class PlanOfTomorrow(TimingPlan):
    """A plan with a field that nobody knew when the log was written."""

    warm_up_calls: int = 0


@pytest.mark.parametrize(
    ("plan", "key"),
    [
        (TimingPlan(), "{}"),
        (TimingPlan(number=2, repeat=3), '{"number":2,"repeat":3}'),
        (TimingPlan(cache_flush_bytes=1 << 20), '{"cache_flush_bytes":1048576}'),
        (PlanOfTomorrow(number=2, repeat=3), '{"number":2,"repeat":3}'),
        (PlanOfTomorrow(warm_up_calls=1), '{"warm_up_calls":1}'),
    ],
)
def test_a_key_leaves_defaults_out(plan: TimingPlan, key: str) -> None:
    assert encode_changed(plan) == key
    assert decode(type(plan), key) == plan
