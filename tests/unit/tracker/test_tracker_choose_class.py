"""Which class of a pool a job is tuned for, and why none fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protos.device import Fingerprint, RunnerInfo, RunnerMode
from protos.measurement import Artifact
from tracker.domain import Device, DeviceState, Drain, JobKind, JobSpec, Lease
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


def test_a_lease_keeps_a_device_for_its_holder() -> None:
    adas = replace(device("a", "pi5"), lease=Lease("ada", 0.0, 3600.0))
    assert choose_class(SPEC, [adas, device("b", "pi4")])[0].name == "b"
    assert choose_class(replace(SPEC, user="ada"), [adas])[0].name == "a"
    with pytest.raises(NotPossible, match="a is leased to ada until 1970-01-01 01:00:00 UTC"):
        choose_class(replace(SPEC, user="bob"), [adas])


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
    with pytest.raises(NotPossible) as caught:
        choose_class(SPEC, devices)
    assert "'lab'" in str(caught.value)
    for reason in reasons:
        assert reason in str(caught.value)
