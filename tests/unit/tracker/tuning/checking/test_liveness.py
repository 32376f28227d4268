"""The most that values take at one time."""

from __future__ import annotations

import pytest

from tvm_farm.tracker.tuning.checking.liveness import Peak, Step, peak_of


def step(name: str, reads: str, **makes: int) -> Step:
    return Step(name, frozenset(reads), makes)


CHAIN = [step("f", "x", a=10), step("g", "a", b=20), step("h", "b", c=5)]


@pytest.mark.parametrize(
    ("steps", "given", "kept", "peak"),
    [
        ([], {"x": 7}, "", Peak(7)),
        (CHAIN, {}, "c", Peak(30, "g")),
        (CHAIN, {"x": 7}, "c", Peak(37, "g")),
        # What is read again later lives until then.
        ([*CHAIN, step("i", "ac", d=1)], {}, "d", Peak(35, "h")),
        # An output lives to the end.
        ([*CHAIN, step("i", "c", d=40)], {}, "ad", Peak(55, "i")),
        # What nobody reads is there while it is made, and no longer.
        ([step("f", "x", a=10, rest=90), step("g", "a", b=95)], {}, "b", Peak(105, "g")),
        ([step("f", "x", a=10, rest=90), step("g", "a", b=80)], {}, "b", Peak(100, "f")),
        # Of equals the first.
        ([step("f", "", a=10), step("g", "", b=10)], {}, "", Peak(10, "f")),
        # What is read by several steps, and twice by one, ends once.
        (
            [step("f", "", a=10), step("g", "a", b=1), step("h", "ab", c=1), step("i", "c", d=11)],
            {},
            "d",
            Peak(12, "h"),
        ),
    ],
)
def test_peak(steps: list[Step], given: dict[str, int], kept: str, peak: Peak) -> None:
    assert peak_of(steps, given, frozenset(kept)) == peak
