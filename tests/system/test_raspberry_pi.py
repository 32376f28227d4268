"""A whole Raspberry Pi 3 in the farm, emulated: Debian's kernel and systemd, an SD card, a slow wire, a power cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("tvm")

from emulation.machines import KINDS, Machine, installed, missing_for_machines
from tests.support.cable import MISSING as NO_CABLE
from tests.support.networks import small_network
from tests.support.pi_farm import STATE, PiFarm
from tests.support.waiting import wait_until
from tracker.domain import JobState, Outcome

MISSING = str(missing_for_machines()) if missing_for_machines() else NO_CABLE
pytestmark = [
    pytest.mark.system,
    pytest.mark.rpi3,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

TRIALS = 24


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PiFarm]:
    snapshot = installed(KINDS["rpi3"], print)
    with PiFarm.of(tmp_path_factory.mktemp("pi")) as lab:
        added = lab.farm.add_runtime("aarch64")
        assert added.returncode == 0, added.stderr
        lab.machine(snapshot)
        yield lab


@pytest.fixture
def pi(lab: PiFarm) -> Machine:
    return lab.machines[0]


def test_it_joins_by_mdns_and_gets_its_runtime_over_a_slow_wire(lab: PiFarm, pi: Machine) -> None:
    """200 KB/s: the runtime takes half a minute, in which the board is in the farm already."""
    pi.power_on(plug=False)
    pi.shape_link("rate", "1600kbit", "delay", "20ms")
    pi.plug()
    wait_until(lab.farm.tracker.devices, 120, "a board that joins")
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
    farm = lab.farm
    (farm.folder / "small.onnx").write_bytes(small_network(seed=8))
    tuned = farm.farm("tune", "small.onnx", "--pool", "arm64", "--trials", str(TRIALS), "-o", "tuned")
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr + farm.worker_log() + lab.journal(pi)
    assert "ran on raspberrypi with random inputs, seed 0: every output equal to what ONNX Runtime" in " ".join(
        tuned.stdout.split()
    )
    [job] = farm.jobs()
    assert (job.state, job.trials) == (JobState.DONE, TRIALS)
    searched = lab.searched(job.id)
    assert len(searched) == TRIALS
    assert sum(record.measurement.outcome is Outcome.OK for record in searched) > TRIALS // 2


def test_a_power_cut_in_the_middle_of_a_job_costs_nothing_but_time(lab: PiFarm, pi: Machine) -> None:
    farm = lab.farm
    identity = pi.shell(f"cat {STATE}/device-id")
    (farm.folder / "other.onnx").write_bytes(small_network(seed=9, channels=16, size=28))
    running = farm.start_farm("tune", "other.onnx", "--pool", "arm64", "--trials", str(2 * TRIALS), "-o", "other")
    try:
        wait_until(lambda: farm.jobs()[-1].trials >= TRIALS // 2, 240, "trials of the second job")
        pi.cut_power()
        pi.power_on()
        out, err = running.communicate(timeout=500)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0, out + err + farm.worker_log() + lab.journal(pi)
    job = farm.jobs()[-1]
    assert (job.state, job.trials) == (JobState.DONE, 2 * TRIALS)
    assert len(lab.searched(job.id)) == 2 * TRIALS
    assert pi.shell(f"cat {STATE}/device-id") == identity
    assert len(farm.tracker.devices()) == 1
