"""Which classes of its pool a job is for, and why none fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.measurement import Artifact
from tvm_farm.tracker.domain import Device, DeviceState, Drain, JobKind, JobSpec, Lease
from tvm_farm.tracker.domain.errors import NoBoard, NotPossible
from tvm_farm.tracker.scheduling.tuned_classes import class_is_gone, tuned_classes

SPEC = JobSpec(JobKind.TUNE, "net", Artifact("00", 1), "lab")


def device(
    name: str,
    device_class: str,
    state: DeviceState = DeviceState.IDLE,
    mode: RunnerMode = RunnerMode.FULL,
    pool: str = "lab",
) -> Device:
    return Device(
        name,
        name,
        Fingerprint(),
        RunnerInfo(mode),
        pools=(pool,) if pool else (),
        device_class=device_class,
        state=state,
    )


def test_what_was_measured_is_known_also_without_its_devices() -> None:
    devices = [
        device("a", "pi4", DeviceState.LOST),
        replace(device("b", "pi5", DeviceState.DRAINING), drain=Drain("ada", 1.0)),
        device("c", "pi6", pool="other"),
    ]
    with pytest.raises(NotPossible):
        classes(devices)
    for kind in (JobKind.ESTIMATE, JobKind.CHECK):
        assert classes(devices, replace(SPEC, kind=kind)) == ["pi4", "pi5"]


def classes(devices: list[Device], spec: JobSpec = SPEC) -> list[str]:
    return [device.device_class for device in tuned_classes(spec, devices)]


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([device("a", "pi4")], ["pi4"]),
        ([device("a", "pi4"), device("b", "pi5"), device("c", "pi5")], ["pi5", "pi4"]),
        (
            [device("a", "pi5"), device("b", "a-micro", mode=RunnerMode.MICRO), device("c", "pi4")],
            ["pi4", "pi5", "a-micro"],
        ),
        (
            [device("a", "pi5"), *(device(n, "micro", mode=RunnerMode.MICRO) for n in "bc")],
            ["micro", "pi5"],
        ),
        ([device("a", "pi4", DeviceState.LOST), device("c", "pi5", DeviceState.MEASURING)], ["pi5"]),
        ([*(device(n, "pi4", DeviceState.DRAINING) for n in "ab"), device("c", "pi4"), device("d", "odd")],
         ["odd", "pi4"]),
        ([device("a", "pi4"), device("b", "pi5", pool="other")], ["pi4"]),
    ],
    ids=[
        "one", "most devices first", "full mode before micro, then by name", "more devices before full mode",
        "lost ones are none", "draining ones do not count", "of this pool",
    ],
)  # fmt: skip
def test_the_classes_of_a_pool_in_the_order_of_their_turn(devices: list[Device], expected: list[str]) -> None:
    assert classes(devices) == expected
    assert classes(devices[::-1]) == expected


def test_one_class_by_name() -> None:
    devices = [device("a", "pi4"), device("b", "pi5"), device("c", "pi5")]
    assert classes(devices, replace(SPEC, device_class="pi4")) == ["pi4"]
    with pytest.raises(NotPossible, match=r"no device of the pool 'lab' is of class pi3: it has pi4, pi5") as typo:
        classes(devices, replace(SPEC, device_class="pi3"))
    assert not isinstance(typo.value, NoBoard)
    lost = [device("a", "pi4", DeviceState.LOST), device("b", "pi5")]
    with pytest.raises(NoBoard, match=r"no device of class pi4 of the pool 'lab' can take work: a is lost$"):
        classes(lost, replace(SPEC, device_class="pi4"))
    with pytest.raises(NoBoard, match=r"can take work: a is stopped$"):
        classes([replace(lost[0], stopped=True)])


def test_a_lease_keeps_a_device_for_its_holder() -> None:
    adas = replace(device("a", "pi5"), lease=Lease("ada", 0.0, 3600.0))
    assert classes([adas, device("b", "pi4")]) == ["pi4"]
    assert classes([adas, device("b", "pi4")], replace(SPEC, user="ada")) == ["pi4", "pi5"]
    with pytest.raises(NotPossible, match="a is leased to ada until 1970-01-01 01:00:00 UTC"):
        classes([adas], replace(SPEC, user="bob"))


@pytest.mark.parametrize(
    ("devices", "reasons"),
    [
        ([], ["none has joined this farm"]),
        ([device("a", "x", pool="other")], ["a is in other"]),
        ([device("a", "x", pool="")], ["a is in no pool"]),
        ([device("a", "x", DeviceState.LOST), device("b", "x", DeviceState.DRAINING)], ["a is lost", "b is draining"]),
        (
            [replace(device("a", "x", DeviceState.DRAINING), drain=Drain("ada", 0.0, "new fan"))],
            ["a is draining (new fan)"],
        ),
        ([device(f"n{i}", "x", pool="other") for i in range(12)], ["n7 is in other", "and 4 more"]),
    ],
)
def test_why_none_fits(devices: list[Device], reasons: list[str]) -> None:
    with pytest.raises(NoBoard) as caught:
        tuned_classes(SPEC, devices)
    assert "'lab'" in str(caught.value)
    for reason in reasons:
        assert reason in str(caught.value)


PI4 = device("a", "pi4")


@pytest.mark.parametrize(
    ("devices", "there"),
    [
        ([replace(PI4, device_class="pi4-full")], "a is now of class pi4-full"),
        (
            [replace(PI4, device_class="pi4-full"), device("b", "pi5")],
            "a is now of class pi4-full; b is now of class pi5",
        ),
        ([device("b", "pi5", DeviceState.LOST)], "b is now of class pi5 (lost)"),
        ([device("b", "pi4", pool="other")], "the pool has no board"),
        ([], "the pool has no board"),
    ],
)
def test_a_class_without_a_board_says_which_are_there(devices: list[Device], there: str) -> None:
    said = class_is_gone(SPEC, "pi4", devices)
    assert said == f"no board of the pool 'lab' is of class pi4 any more: {there}; cancel this job and tune again"


def test_of_many_boards_a_few_are_named() -> None:
    said = class_is_gone(SPEC, "pi4", [device(f"n{i}", "x") for i in range(12)])
    assert "n3 is now of class x, and 8 more; cancel" in said


@pytest.mark.parametrize("state", DeviceState)
def test_a_board_of_the_class_may_come_back(state: DeviceState) -> None:
    assert class_is_gone(SPEC, "pi4", [replace(PI4, state=state), device("b", "pi5")]) == ""
