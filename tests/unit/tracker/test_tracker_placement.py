"""Which device, and whose turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protos.device import Fingerprint, RunnerInfo, RunnerMode
from tracker.domain import Device
from tracker.scheduling.fair_share import FairShare
from tracker.scheduling.placement import Placement, Selection

DEVICE = Device("d", "d", Fingerprint(), RunnerInfo(RunnerMode.MICRO), pools=("arm64", "lab"), device_class="pi4")


@pytest.mark.parametrize(
    ("selection", "mode", "admitted"),
    [
        (Selection("arm64"), RunnerMode.MICRO, True),
        (Selection("lab", "pi4"), RunnerMode.MICRO, True),
        (Selection("x86_64"), RunnerMode.MICRO, False),
        (Selection("arm64", "pi5"), RunnerMode.MICRO, False),
        (Selection("arm64", "pi4", whole_models=True), RunnerMode.MICRO, False),
        (Selection("arm64", "pi4", whole_models=True), RunnerMode.FULL, True),
        (Selection("arm64", "pi4", whole_models=True), RunnerMode.SYNTHETIC, True),
    ],
)
def test_selection(selection: Selection, mode: RunnerMode, admitted: bool) -> None:
    assert selection.admits(replace(DEVICE, runner=RunnerInfo(mode))) is admitted


def drain(placement: Placement, slots: dict[str, int]) -> list[str]:
    held = dict.fromkeys(slots, 0)
    order = []
    while (device := placement.least_held()) is not None:
        held[device] += 1
        placement.put(device, slots[device], held[device])
        order.append(device)
    return order


def test_work_spreads_before_prefetching_deepens() -> None:
    placement, slots = Placement(), {"a": 2, "b": 2, "c": 3}
    for device, n in slots.items():
        placement.put(device, n, 0)
    assert (placement.devices, placement.slots) == (3, 7)
    assert drain(placement, slots) == ["a", "b", "c", "a", "b", "c", "c"]


def test_of_equal_devices_the_longest_waiting_is_next() -> None:
    placement = Placement()
    for device in ("a", "b"):
        placement.put(device, 1, 0)
    placement.put("a", 1, 1)
    placement.put("a", 1, 0)
    assert placement.least_held() == "b"


def test_a_device_with_a_free_slot_may_want_none() -> None:
    placement = Placement()
    placement.put("a", 8, 5, wants_more=False)
    assert (placement.least_held(), placement.slots) == (None, 8)
    placement.put("b", 2, 3, wants_more=True)
    assert placement.least_held() == "b"


def test_a_device_that_left_gets_nothing() -> None:
    placement = Placement()
    placement.put("a", 2, 0)
    placement.put("b", 2, 1)
    placement.remove("a")
    placement.remove("a")
    assert placement.least_held() == "b"
    assert "a" not in placement
    placement.remove("b")
    assert placement.least_held() is None
    assert placement.devices == 0


def test_a_device_that_holds_more_than_its_slots_is_full() -> None:
    placement = Placement()
    placement.put("a", 1, 3)
    assert placement.least_held() is None
    placement.put("a", 1, 0)
    assert placement.least_held() == "a"


def run(share: FairShare, seconds: dict[str, float], turns: int) -> dict[str, int]:
    given = dict.fromkeys(seconds, 0)
    for _ in range(turns):
        stream = share.next(seconds)
        assert stream is not None
        share.dispatched(stream)
        share.returned(stream, seconds[stream])
        given[stream] += 1
    return given


def test_equal_streams_take_turns() -> None:
    share = FairShare()
    for stream in "ab":
        share.open(stream)
    assert run(share, {"a": 1.0, "b": 1.0}, 10) == {"a": 5, "b": 5}


def test_slow_kernels_get_as_many_seconds_not_as_many_turns() -> None:
    share = FairShare()
    for stream in "ab":
        share.open(stream)
    given = run(share, {"a": 4.0, "b": 1.0}, 100)
    assert given["b"] == pytest.approx(4 * given["a"], abs=4)


def test_what_is_in_flight_counts() -> None:
    share = FairShare()
    for stream in "ab":
        share.open(stream)
    share.dispatched("a")
    assert share.next("ab") == "b"


def test_a_newcomer_starts_level() -> None:
    share = FairShare()
    share.open("old")
    run(share, {"old": 1.0}, 50)
    share.open("new")
    assert abs(run(share, {"old": 1.0, "new": 1.0}, 20)["new"] - 10) <= 1


def test_a_trial_that_never_ran_costs_nothing() -> None:
    share = FairShare()
    for stream in "ab":
        share.open(stream)
    share.dispatched("a")
    share.returned("a", None)
    share.dispatched("b")
    share.returned("b", 0.1)
    assert share.next("ab") == "a"


def test_nobody_waits() -> None:
    assert FairShare().next([]) is None


def test_a_stream_that_closed_is_forgotten() -> None:
    share = FairShare()
    share.open("a")
    share.dispatched("a")
    share.close("a")
    share.returned("a", 1.0)
    share.open("b")
    assert share.next(["b"]) == "b"
