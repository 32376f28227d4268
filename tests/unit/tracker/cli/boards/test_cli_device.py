"""What ``farm devices show`` says of a device, and who else goes by it."""

from __future__ import annotations

import pytest

from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode, Telemetry
from tvm_farm.tracker.cli.boards.words import health
from tvm_farm.tracker.domain import Device, DeviceState

FULL = Telemetry(disk_fault="its disk is full")
WELL = Telemetry()


@pytest.mark.parametrize(
    ("state", "telemetry", "takes"),
    [
        (DeviceState.IDLE, None, True),
        (DeviceState.MEASURING, WELL, True),
        (DeviceState.IDLE, FULL, False),
        (DeviceState.MEASURING, FULL, False),
        (DeviceState.DRAINING, WELL, False),
        (DeviceState.LOST, WELL, False),
    ],
)
def test_which_take_trials(state: DeviceState, telemetry: Telemetry | None, takes: bool) -> None:
    """A job waits for one that does not, and is not given to it to find that out."""
    assert (
        Device("id", "pi", Fingerprint(), RunnerInfo(RunnerMode.FULL), state=state, telemetry=telemetry).takes_trials
        is takes
    )


@pytest.mark.parametrize(
    ("ailing", "telemetry", "told"),
    [
        ("", WELL, ""),
        ("hot (90 °C)", WELL, "hot (90 °C); others of its class come first"),
        ("its disk is full", FULL, "its disk is full; no trial is sent there until it is mended"),
    ],
)
def test_itshealth(ailing: str, telemetry: Telemetry, told: str) -> None:
    assert (
        health(Device("id", "pi", Fingerprint(), RunnerInfo(RunnerMode.FULL), telemetry=telemetry, ailing=ailing))
        == told
    )
