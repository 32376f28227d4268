"""A whole Raspberry Pi 3 in the farm, emulated: Debian's kernel and systemd, an SD card, a slow wire, a power cut."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

pytest.importorskip("tvm")

from emulation.machines import Machine, Snapshot
from tests.support.pi_farm import MISSING, STATE, PiFarm
from tests.support.waiting import wait_until
from tvm_farm.tracker.domain import Outcome

pytestmark = [
    pytest.mark.system,
    pytest.mark.rpi3,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

TRIALS = 24


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, pi_snapshot: Snapshot) -> Iterator[PiFarm]:
    with PiFarm.of(tmp_path_factory.mktemp("pi")) as lab:
        added = lab.farm.add_runtime("aarch64")
        assert added.returncode == 0, added.stderr
        lab.machine(pi_snapshot)
        yield lab


@pytest.fixture
def pi(lab: PiFarm) -> Machine:
    return lab.machines[0]


def test_it_joins_by_mdns_and_gets_its_runtime_over_a_slow_wire(lab: PiFarm, pi: Machine) -> None:
    """200 KB/s: the runtime takes half a minute, in which the board is in the farm already."""
    pi.power_on(plug=False)
    pi.shape_link("rate", "1600kbit", "delay", "20ms")
    pi.plug()
    wait_until(lab.farm.tracker.devices, "a board that joins", 120)
    shown = lab.farm.farm("devices")
    assert re.search(r"raspberrypi .*idle, runtime \d+ %", shown.stdout), shown.stdout
    lab.wait_for_full_mode()
    pi.shape_link()
    assert f" at {lab.cable.near}:{lab.farm.tracker.port} by mDNS" in lab.journal(pi)
    [device] = lab.farm.tracker.devices()
    assert list(device.pools) == ["arm64"]
    assert device.fingerprint.board_model == "Raspberry Pi 3 Model B"
    assert '"mcpu": "cortex-a53"' in device.target


def test_a_network_is_tuned_there_and_judged_by_onnx_runtime(lab: PiFarm, pi: Machine) -> None:
    with lab.tune("first", TRIALS, seed=8) as tuning:
        assert "ran on raspberrypi with random inputs, seed 0" in " ".join(tuning.finish().split())
        job = tuning.job()
    assert job is not None
    ran = [record for record in lab.searched(job.id) if record.measurement.outcome is Outcome.OK]
    assert len(ran) > TRIALS // 2


def test_a_power_cut_in_the_middle_of_a_job_costs_nothing_but_time(lab: PiFarm, pi: Machine) -> None:
    identity = pi.shell(f"cat {STATE}/device-id")
    with lab.tune("second", 2 * TRIALS, seed=9) as tuning:
        tuning.wait_for_trials(TRIALS // 2)
        pi.cut_power()
        pi.power_on()
        tuning.finish()
    assert pi.shell(f"cat {STATE}/device-id") == identity
    assert len(lab.farm.tracker.devices()) == 1
