"""Which class of device a script measures on, and which tracker it means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode, Telemetry
from tvm_farm.tracker.client.connection import ScriptConnection
from tvm_farm.tracker.client.errors import BadInput, NoBoard
from tvm_farm.tracker.client.one_class import one_class
from tvm_farm.tracker.domain import Device, DeviceState, Lease


def device(name: str, device_class: str, state: DeviceState = DeviceState.IDLE, lease: str = "") -> Device:
    plain = Device(
        name, name, Fingerprint(arch="aarch64"), RunnerInfo(RunnerMode.FULL), device_class=device_class, state=state
    )
    return replace(plain, lease=Lease(lease, 0.0, 1e12)) if lease else plain


PI4, PI5 = device("a", "pi4"), device("b", "pi5")
LOST, LEASED = device("c", "pi3", DeviceState.LOST), device("d", "pi6", lease="bob")
DRAINING = device("e", "pi7", DeviceState.DRAINING)
FULL_DISK = replace(device("f", "pi8"), telemetry=Telemetry(disk_fault="its disk is full"))


@pytest.mark.parametrize(
    ("devices", "wanted", "found"),
    [
        ([PI4], "", "pi4"),
        ([PI4, replace(PI4, id="a2", state=DeviceState.MEASURING)], "", "pi4"),
        ([PI4, PI5], "pi5", "pi5"),
        ([PI4, LOST], "", "pi4"),
        ([PI4, LEASED], "", "pi4"),
        ([PI4, DRAINING], "", "pi4"),
        ([PI4, FULL_DISK], "", "pi4"),
        ([FULL_DISK], "", "pi8"),
        ([LOST], "", "pi3"),
        ([PI4, LOST], "pi3", "pi3"),
        ([device("d", "pi6", lease="ada"), LOST], "", "pi6"),
    ],
)
def test_the_one_class_that_takes_work_of_the_user(devices: list[Device], wanted: str, found: str) -> None:
    assert one_class(devices, "arm64", wanted, "ada").device_class == found


@pytest.mark.parametrize(
    ("devices", "wanted", "said"),
    [
        (
            [PI5, PI4],
            "",
            "Pool arm64 has 2 classes of device, whose timings cannot be compared: "
            "choose one with device_class=, of pi4, pi5.",
        ),
        ([PI4, LOST], "pi9", "Pool arm64 has no device of class pi9: it has pi3, pi4."),
    ],
)
def test_what_is_not_one_class_is_refused_with_the_classes(devices: list[Device], wanted: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        one_class(devices, "arm64", wanted, "ada")
    assert refused.value.message == said


def test_a_pool_without_devices_is_no_fault_of_who_asks() -> None:
    with pytest.raises(NoBoard, match=r"^Pool arm64 has no device: none that fits its selector has joined this farm"):
        one_class([], "arm64", "", "ada")


@pytest.mark.parametrize(
    ("given", "tracker", "farm"),
    [
        ("10.0.0.7:9195", "10.0.0.7:9195", None),
        ("farm.local", "farm.local", None),
        ("localhost", "localhost", None),
        ("[::1]", "[::1]", None),
        ("lab", None, "lab"),
        (None, "environment:1", "theirs"),
        ("", "environment:1", "theirs"),
    ],
)
def test_an_address_a_host_or_the_name_of_a_farm(
    given: str | None, tracker: str | None, farm: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVMFARM_TRACKER", "environment:1")
    monkeypatch.setenv("TVMFARM_FARM", "theirs")
    monkeypatch.setenv("TVMFARM_MDNS_INTERFACE", "")
    found = ScriptConnection.to(given)
    assert (found.tracker, found.farm) == (tracker, farm)


def test_an_address_that_is_none_is_said_in_a_scripts_words() -> None:
    with pytest.raises(BadInput, match=r"^tracker: 'a:b:c' is not an address"):
        ScriptConnection.to("a:b:c").found()
