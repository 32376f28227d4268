"""Which device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.tracker.domain import Device
from tvm_farm.tracker.scheduling.placement import Placement, Selection

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
