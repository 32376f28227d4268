"""What boards live through, on a whole Raspberry Pi 3: bad networks, power cuts, clocks that jump, a slow card."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("tvm")

from emulation.machines import Machine
from tests.support.pi_farm import MISSING, SERVICE, STATE, PiFarm
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.rpi3,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

TRIALS = 24


@pytest.mark.parametrize(
    "netem",
    [("rate", "1600kbit"), ("delay", "300ms", "loss", "5%"), ("delay", "100ms", "80ms", "reorder", "20%")],
    ids=["200 KB/s", "300 ms and 5 % loss", "out of order"],
)
def test_a_job_runs_over_a_bad_wire(lab: PiFarm, pi: Machine, netem: tuple[str, ...]) -> None:
    pi.power_on(plug=False)
    pi.shape_link(*netem)
    pi.plug()
    with lab.tune("small", TRIALS, seed=8) as tuning:
        tuning.finish(900)
    lab.wait_for_full_mode(timeout_s=600)


@contextmanager
def flapping(lab: PiFarm, pi: Machine, period_s: float) -> Iterator[None]:
    ended = threading.Event()

    def flap() -> None:
        while not ended.wait(period_s):
            lab.switch.cut(pi.tap)
            ended.wait(period_s)
            lab.switch.mend(pi.tap)

    thread = threading.Thread(target=flap)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_job_runs_over_a_wire_that_flaps_every_10_s(lab: PiFarm, pi: Machine) -> None:
    pi.power_on()
    with flapping(lab, pi, 10), lab.tune("small", TRIALS, seed=8) as tuning:
        tuning.finish(1000)
    lab.wait_for_full_mode(timeout_s=600)


@pytest.mark.timeout(4000)
def test_twenty_reboots_and_power_cuts_over_one_job(lab: PiFarm, pi: Machine) -> None:
    """The job asks for more trials than fit between two of them; the state folder is whole after each."""
    pi.power_on()
    lab.wait_for_full_mode()
    identity = pi.shell(f"cat {STATE}/device-id")
    chance = random.Random(14)
    with lab.tune("small", 400, seed=8) as tuning:
        for _ in range(20):
            job = tuning.job()
            measured = job.trials if job else 0
            tuning.wait_for_trials(measured + chance.randint(1, 12))
            if chance.random() < 0.3:
                pi.reboot()
            else:
                pi.cut_power()
                pi.power_on()
            assert pi.shell(f"cat {STATE}/device-id") == identity
            damaged = pi.shell(
                f"cd {STATE}/runtime; for each in *.so; do sha256sum <$each | grep -q ${{each%.so}} || echo $each; done"
            )
            assert damaged == ""
        tuning.finish(1500)
    assert len(lab.farm.tracker.devices()) == 1


def test_a_clock_that_jumps_months_forward_and_back_moves_no_time(lab: PiFarm, pi: Machine) -> None:
    pi.power_on()
    lab.wait_for_full_mode()
    with lab.tune("small", 3 * TRIALS, seed=8) as tuning:
        for jump in ("+7 months", "-7 months", "1970-01-02"):
            job = tuning.job()
            tuning.wait_for_trials((job.trials if job else 0) + 6)
            pi.shell(f"systemctl stop systemd-timesyncd; date -s '{jump}'")
        tuning.finish()
        job = tuning.job()
    assert job is not None
    on_the_board = [record for record in lab.searched(job.id) if record.measurement.timeline.started_s]
    assert len(on_the_board) > 2 * TRIALS  # the log may have the rest, and some are never built
    for record in on_the_board:
        steps = record.measurement.timeline
        times = [steps.sent_s, steps.received_s, steps.started_s, steps.finished_s, steps.answered_s]
        assert times == sorted(times), steps
        assert times[-1] - times[0] < 300, steps
    shown = lab.farm.farm("devices", "--json")
    assert shown.returncode == 0, shown.stderr


def test_a_slow_card_slows_and_breaks_nothing(lab: PiFarm, pi: Machine) -> None:
    """100 KB/s, as of a worn card that moves its blocks: the runtime's 6 MB take a minute to write."""
    pi.power_on(plug=False)
    pi.slow_card(100_000)
    pi.plug()
    with lab.tune("small", TRIALS, seed=8) as tuning:
        tuning.finish(1000)
    assert len(lab.farm.tracker.devices()) == 1


def test_a_changed_host_name_is_the_same_board_by_another_name(lab: PiFarm, pi: Machine) -> None:
    pi.power_on()
    lab.wait_for_full_mode()
    [before] = lab.farm.tracker.devices()
    pi.shell(f"hostnamectl set-hostname rack-3 && systemctl restart {SERVICE}")
    wait_until(lambda: [device.name for device in lab.farm.tracker.devices()] == ["rack-3"], "the new name", 120)
    [after] = lab.farm.tracker.devices()
    assert after.id == before.id
