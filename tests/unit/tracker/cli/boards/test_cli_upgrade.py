"""What ``farm devices upgrade`` says of each device, and which ones are meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.tracker.cli.boards.upgrade import chosen, progress
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.domain import AgentCode, Device, DeviceState, Upgrade

DIGEST = "d" * 64
ORDER = Upgrade("u1", "0.2.0", DIGEST, 1000)
OLD = Device(
    "id-1",
    "pi-1",
    Fingerprint(agent_version="0.1.0"),
    RunnerInfo(RunnerMode.FULL),
    state=DeviceState.IDLE,
    code=AgentCode(),
)
ORDERED = replace(OLD, upgrade=ORDER)
LOST = replace(ORDERED, state=DeviceState.LOST)
NEW = replace(OLD, fingerprint=Fingerprint(agent_version="0.2.0"), code=AgentCode(DIGEST))
FELL = replace(
    OLD,
    code=AgentCode(failed_upgrade="u1", failure="it crashed"),
    upgrade=replace(ORDER, share=1.0, failure="it crashed"),
)


@pytest.mark.parametrize(
    ("device", "told", "over", "well"),
    [
        (ORDERED, "ordered", False, False),
        (replace(OLD, upgrade=replace(ORDER, share=0.0)), "fetching, 0 %", False, False),
        (replace(OLD, upgrade=replace(ORDER, share=0.47)), "fetching, 40 %", False, False),
        (replace(OLD, upgrade=replace(ORDER, share=1.0)), "fetching, 100 %", False, False),
        (replace(OLD, upgrade=replace(ORDER, share=1.0, restarting=True)), "restarting", False, False),
        (replace(LOST, upgrade=replace(ORDER, share=1.0, restarting=True)), "restarting", False, False),
        (LOST, "lost; the upgrade waits until it is back", False, False),
        (NEW, "joined with 0.2.0", True, True),
        (replace(NEW, state=DeviceState.MEASURING), "joined with 0.2.0", True, True),
        (replace(NEW, state=DeviceState.LOST), "lost, after it had joined", False, False),
        (FELL, "upgrade to 0.2.0 failed: it crashed; it runs 0.1.0 again", True, False),
        (
            replace(OLD, upgrade=replace(ORDER, failure="its disk is full")),
            "upgrade to 0.2.0 failed: its disk is full; it runs 0.1.0",
            True,
            False,
        ),
        (OLD, "the order was taken back, or another one came", True, False),
        (replace(OLD, upgrade=replace(ORDER, id="u2")), "the order was taken back, or another one came", True, False),
        (replace(OLD, code=None), "the order was taken back, or another one came", True, False),
    ],
)
def test_progress(device: Device, told: str, over: bool, well: bool) -> None:
    assert progress(device, ORDER, "0.2.0", DIGEST) == (told, over, well)


def test_one_that_runs_it_already() -> None:
    assert progress(NEW, None, "0.2.0", DIGEST) == ("joined with 0.2.0", True, True)


FARM = [replace(OLD, id=f"id-{name}", name=name) for name in ("pi-1", "pi-2", "rock-1", "rock-1-a72")]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["pi-*"], ["pi-1", "pi-2"]),
        (["*"], ["pi-1", "pi-2", "rock-1", "rock-1-a72"]),
        (["rock-1", "pi-?"], ["pi-1", "pi-2", "rock-1"]),
        (["pi-1", "pi-*", "pi-1"], ["pi-1", "pi-2"]),
        (["id-pi-2"], ["pi-2"]),
        (["pi-[2-9]"], ["pi-2"]),
    ],
)
def test_names(names: list[str], found: list[str]) -> None:
    assert [device.name for device in chosen(FARM, names)] == found


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["po-*"], r"No device is called po-\*. The farm has: pi-1, pi-2, rock-1, rock-1-a72"),
        (["pi-1", "rack"], "There is no device rack. The farm has"),
        (["pi"], "pi may be any of pi-1, pi-2"),
    ],
)
def test_names_of_none(names: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        chosen(FARM, names)
