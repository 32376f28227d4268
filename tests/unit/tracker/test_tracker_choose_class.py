"""Which class of a pool a job is tuned for, and why none fits."""

from __future__ import annotations

import pytest

from protos.device import Fingerprint, RunnerInfo, RunnerMode
from protos.measurement import Artifact
from tracker.domain import Device, DeviceState, JobKind, JobSpec
from tracker.domain.errors import NotPossible
from tracker.services.jobs import choose_class

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


def test_the_class_with_most_devices() -> None:
    devices = [device("a", "pi4"), device("b", "pi5"), device("c", "pi5")]
    chosen, others = choose_class(SPEC, devices)
    assert (chosen.device_class, others) == ("pi5", ["pi4"])


def test_full_mode_comes_first() -> None:
    micro = [device(n, "small", mode=RunnerMode.MICRO) for n in "ab"]
    assert choose_class(SPEC, [*micro, device("c", "pi5")])[0].device_class == "pi5"


def test_lost_devices_do_not_count() -> None:
    lost = [device(n, "pi4", DeviceState.LOST) for n in "ab"]
    chosen, others = choose_class(SPEC, [*lost, device("c", "pi5", DeviceState.MEASURING)])
    assert (chosen.name, others) == ("c", [])


@pytest.mark.parametrize(
    ("devices", "reasons"),
    [
        ([], ["none has joined this farm"]),
        ([device("a", "x", pool="other")], ["a is in other"]),
        ([device("a", "x", pool="")], ["a is in no pool"]),
        ([device("a", "x", DeviceState.LOST), device("b", "x", DeviceState.DRAINING)], ["a is lost", "b is draining"]),
        ([device(f"n{i}", "x", pool="other") for i in range(12)], ["n7 is in other", "and 4 more"]),
    ],
)
def test_why_none_fits(devices: list[Device], reasons: list[str]) -> None:
    with pytest.raises(NotPossible) as caught:
        choose_class(SPEC, devices)
    assert "'lab'" in str(caught.value)
    for reason in reasons:
        assert reason in str(caught.value)
