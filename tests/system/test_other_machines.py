"""Other whole machines in the farm: a Raspberry Pi 3 with 32-bit Debian, and an arm64 machine of no kind."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tvm")

from emulation.machines import KINDS, installed
from tests.support.networks import small_network
from tests.support.pi_farm import MISSING, PiFarm
from tests.support.waiting import wait_until
from tvm_farm.tracker.domain import JobState, Outcome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.rpi3,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

TRIALS = 24


def test_32_bit_debian_on_a_raspberry_pi_3_is_tuned_in_micro_mode(tmp_path: Path) -> None:
    """Agent and Python are 32-bit programs there, on a 64-bit kernel, as in Raspberry Pi OS's 32-bit edition."""
    snapshot = installed(KINDS["rpi3-32"], print)
    with PiFarm.of(tmp_path) as lab:
        pi = lab.machine(snapshot)
        pi.power_on()
        wait_until(lab.farm.tracker.devices, "a board that joins", 200)
        [device] = lab.farm.tracker.devices()
        assert device.fingerprint.arch == "armv7l"
        assert list(device.pools) == ["armv7"]
        assert device.fingerprint.board_model == "Raspberry Pi 3 Model B"
        assert pi.shell("dpkg --print-architecture; uname -m").split() == ["armhf", "aarch64"]
        (tmp_path / "small.onnx").write_bytes(small_network(seed=9))
        done = lab.farm.farm("tune", "small.onnx", "--pool", "armv7", "--trials", str(TRIALS), "-o", "tuned")
        assert done.returncode == 0, done.stdout + done.stderr + lab.farm.worker_log() + lab.journal(pi)
        assert "no device of this class has TVM's runtime" in " ".join(done.stdout.split())
        [job] = lab.farm.jobs()
        assert (job.state, job.trials) == (JobState.DONE, TRIALS)
        assert sum(record.measurement.outcome is Outcome.OK for record in lab.searched(job.id)) > TRIALS // 2
        assert job.result is not None
        assert job.result.kernels_compared == job.result.kernels_equal


def test_a_machine_of_no_kind_is_tuned_in_full_mode_and_its_cpus_come_and_go(tmp_path: Path) -> None:
    snapshot = installed(KINDS["virt"], print)
    with PiFarm.of(tmp_path) as lab:
        added = lab.farm.add_runtime("aarch64")
        assert added.returncode == 0, added.stderr
        machine = lab.machine(snapshot)
        machine.power_on()
        lab.wait_for_full_mode()
        with lab.tune("small", TRIALS, seed=8) as tuning:
            tuning.finish()

        def device_class() -> str:
            return str(lab.farm.tracker.devices()[0].device_class)

        # This machine's CPUs can be taken out, which those of a Raspberry Pi 3 cannot.
        assert "4xcortex-a72" in device_class()
        with lab.tune("other", 2 * TRIALS, seed=9) as tuning:
            tuning.wait_for_trials(TRIALS // 2)
            machine.shell("echo 0 >/sys/devices/system/cpu/cpu3/online")
            wait_until(lambda: "3xcortex-a72" in device_class(), "a class of three cores", 200)
            machine.shell("echo 1 >/sys/devices/system/cpu/cpu3/online")
            wait_until(lambda: "4xcortex-a72" in device_class(), "a class of four cores", 200)
            tuning.finish()
