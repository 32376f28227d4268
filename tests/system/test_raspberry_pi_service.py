"""The agent as a service of systemd on a whole Raspberry Pi 3, and what such a board does to it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

pytest.importorskip("tvm")

from emulation.machines import Machine, Snapshot
from tests.support import kernels
from tests.support.agent_wheels import built, changed
from tests.support.measure_client import MeasureClient, request
from tests.support.pi_farm import MISSING, SERVICE, STATE, PiFarm
from tests.support.waiting import wait_until
from tvm_farm.protos.farm.v1 import measurement_pb2, measuring_pb2
from tvm_farm.protos.version import __version__

pytestmark = [
    pytest.mark.slow,
    pytest.mark.rpi3,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]

#: Each thing that a kernel under test might try, and whether the service lets it.
SANDBOX = {
    f"touch {STATE}/probe && rm {STATE}/probe": True,
    "touch /tmp/probe": True,
    "python3 -c 'import socket; socket.socket(socket.AF_INET)'": True,
    "python3 -c 'import os; os.sched_setaffinity(0, {1})'": True,
    "python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7)'": True,  # compiled code may be made at run time
    "cat /proc/cpuinfo /sys/class/thermal/thermal_zone0/temp": True,
    "touch /etc/probe": False,
    "touch /opt/tvm-farm/probe": False,
    "touch /home/pi/probe": False,
    "cat /home/pi/.ssh/authorized_keys": False,
    "cat /etc/shadow": False,
    "touch /boot/probe": False,
    "dd if=/dev/zero of=/dev/mmcblk0 count=1": False,
    "echo 1 >/proc/sys/kernel/sysrq": False,
    "echo performance >/sys/class/leds/probe": False,
    "sudo -n true": False,
    "unshare --user true": False,
    "mount -t tmpfs none /mnt": False,
    "dmesg": False,
    "kill -0 1": False,
    "hostname other": False,
    "date -s 2030-01-01": False,
    "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'": False,
}


def shown(machine: Machine, *names: str) -> dict[str, str]:
    """Properties of the service there."""
    told = machine.shell(f"systemctl show {SERVICE} -p {','.join(names)}")
    return dict(line.split("=", 1) for line in told.splitlines())


def device_says(lab: PiFarm, said: str, timeout_s: float = 120) -> str:
    """What ``farm devices`` prints once it says so."""

    def told() -> str:
        text = " ".join(lab.farm.farm("devices").stdout.split())
        return text if re.search(said, text) else ""

    return wait_until(told, f"`farm devices` that says {said!r}", timeout_s)


def test_it_starts_before_there_is_a_network(lab: PiFarm, pi: Machine) -> None:
    pi.power_on(plug=False)
    states = shown(pi, "ActiveState", "StatusText", "User", "Type")
    assert states["ActiveState"] == "active"
    assert "looking for a tracker" in states["StatusText"]
    assert states["User"] == "tvm-farm"
    started = shown(pi, "MainPID")
    pi.plug()
    wait_until(lab.farm.tracker.devices, "a board that joins", 120)
    assert shown(pi, "MainPID") == started
    wait_until(lambda: "joined" in shown(pi, "StatusText")["StatusText"], "a status that says so", 60)
    priorities = pi.shell(f"journalctl -u {SERVICE} -o export | grep -a ^PRIORITY= | sort -u")
    assert "PRIORITY=6" in priorities


def test_what_a_kernel_can_and_cannot_do_there(lab: PiFarm, pi: Machine) -> None:
    """The unit's own lines around a program that tries each."""
    pi.power_on(plug=False)
    script = "".join(f"if ({tried}) >/dev/null 2>&1; then echo yes; else echo no; fi\n" for tried in SANDBOX)
    pi.run("/bin/sh", "-c", "cat >/opt/probe.sh", stdin=script)
    unit = pi.shell(f"cat /etc/systemd/system/{SERVICE}.service")
    probe = re.sub(r"(?m)^(Restart|WatchdogSec|NotifyAccess).*\n", "", unit)
    probe = re.sub(r"(?m)^Type=.*", "Type=oneshot", probe)
    probe = re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/sh /opt/probe.sh", probe)
    pi.run("/bin/sh", "-c", "cat >/run/systemd/system/probe.service", stdin=probe)
    pi.shell("systemctl daemon-reload; systemctl start probe")
    told = pi.shell("journalctl -u probe -o cat _COMM=sh").split()
    found = dict(zip(SANDBOX, [each == "yes" for each in told if each in ("yes", "no")], strict=True))
    assert found == SANDBOX


def test_one_that_hangs_is_started_again(lab: PiFarm, pi: Machine) -> None:
    pi.power_on()
    wait_until(lab.farm.tracker.devices, "a board that joins", 120)
    hung = shown(pi, "MainPID")["MainPID"]
    pi.shell(f"kill -STOP {hung}")
    wait_until(lambda: shown(pi, "MainPID")["MainPID"] not in (hung, "0"), "another agent", 300)
    assert "Watchdog timeout" in pi.shell("journalctl --no-pager -o cat")
    device_says(lab, "idle")


def test_the_system_kills_the_kernel_for_its_memory_and_not_the_agent(lab: PiFarm, pi: Machine) -> None:
    """0.9 GB of memory, no swap, and a kernel that wants 1.5 GB."""
    pi.power_on()
    wait_until(lab.farm.tracker.devices, "a board that joins", 120)
    agent = shown(pi, "MainPID")["MainPID"]
    assert pi.shell(f"cat /proc/{agent}/oom_score_adj").strip() == "-500"
    client = MeasureClient(lab.farm.tracker.address, pool="arm64")
    try:
        args = [measurement_pb2.Argument(shape=[4], dtype="float32", fill_seed=1)] * 2
        for name, megabytes in (("hungry", 1500), ("frugal", 16)):
            asked = request(name, kernels.scratch(megabytes, "aarch64").read_bytes(), args=args)
            asked.limits.run_timeout_s = 300
            client.calls.put(measuring_pb2.MeasureCall(trials=[measuring_pb2.Trial(request=asked)]))
            answer = wait_until(lambda name=name: client.answers.get(name), f"an answer to {name}", 400)
            expected = "OUTCOME_OUT_OF_MEMORY" if name == "hungry" else "OUTCOME_OK"
            assert measurement_pb2.Outcome.Name(answer.outcome) == expected, answer.detail
    finally:
        client.close()
    assert shown(pi, "MainPID")["MainPID"] == agent


def test_a_full_card_is_told_and_gets_over_it(lab: PiFarm, pi: Machine) -> None:
    pi.power_on()
    lab.wait_for_full_mode()
    pi.shell("fallocate -l $(df --output=avail -B1 / | tail -1) /ballast")
    tuning = lab.tune("small", 12, seed=8)
    with tuning:
        device_says(lab, "its disk is full")
        pi.shell("rm /ballast")
        tuning.finish()


def test_a_card_that_became_read_only_is_told_and_gets_over_it_by_a_reboot(lab: PiFarm, pi: Machine) -> None:
    pi.power_on()
    lab.wait_for_full_mode()
    with lab.tune("small", 48, seed=8) as tuning:
        tuning.wait_for_trials(4)
        # As Raspberry Pi OS mounts it: an error leaves it as it is.
        pi.shell("mount -o remount,errors=remount-ro / && echo test >/sys/fs/ext4/mmcblk0/trigger_fs_error")
        device_says(lab, "its disk is read-only")
        pi.cut_power()
        pi.power_on()
        tuning.finish()


def test_what_the_firmware_says_of_its_power_is_told(lab: PiFarm, pi: Machine) -> None:
    """QEMU's firmware knows no `get_throttled`: a folder that says it stands where Raspberry Pi's kernel has it."""
    pi.power_on(plug=False)
    pi.shell(
        f"""
        systemctl stop {SERVICE}
        node=$(ls -d /sys/devices/platform/soc*/soc*:firmware)
        mkdir /run/firmware && echo 0x50005 >/run/firmware/get_throttled && mount --bind /run/firmware "$node"
        systemctl start {SERVICE}
        """
    )
    pi.plug()
    wait_until(lab.farm.tracker.devices, "a board that joins", 120)
    wait_until(
        lambda: list(lab.farm.tracker.devices()[0].telemetry.throttling) == ["under-voltage", "throttled"],
        "what the firmware says",
        60,
    )
    assert "throttled: under-voltage, throttled" in " ".join(
        lab.farm.farm("devices", "show", "raspberrypi").stdout.split()
    )
    pi.shell("echo 0x50000 >/run/firmware/get_throttled")  # it was so, and is no more
    wait_until(lambda: not lab.farm.tracker.devices()[0].telemetry.throttling, "a board that is well again", 60)


def test_two_pis_of_one_card(lab: PiFarm, pi: Machine, pi_snapshot: Snapshot) -> None:
    other = lab.machine(pi_snapshot)
    for each in (pi, other):
        each.power_on(plug=False)
        each.shell(f"systemctl restart {SERVICE}")  # two that began from one snapshot share what was in memory too
        each.plug()
    device_says(lab, "has a clone", 200)
    [device] = lab.farm.tracker.devices()
    told = lab.farm.farm("devices", "show", device.name).stdout
    assert "agent new-identity" in " ".join(told.split())
    time.sleep(5)
    refused = [each for each in (pi, other) if "is its clone" in lab.journal(each)]
    assert len(refused) == 1
    refused[0].shell(f"sudo -u tvm-farm /opt/tvm-farm/bin/agent new-identity --state {STATE}")
    wait_until(lambda: len(lab.farm.tracker.devices()) == 2, "two devices", 120)
    assert len({each.id for each in lab.farm.tracker.devices()}) == 2


def test_it_is_upgraded_by_the_farms_word_over_a_power_cut(lab: PiFarm, pi: Machine, tmp_path: Path) -> None:
    """As systemd's service, whose sandbox lets it write its state folder alone: the same process goes on."""
    wheel = built(tmp_path / "wheel")
    newer, newest = (changed(wheel, tmp_path / each, f"{__version__}.{each}") for each in "12")
    broken = changed(
        wheel,
        tmp_path / "3",
        f"{__version__}.3",
        ("tvm_farm/agent/start.py", "    _give_way()\n", "    raise OSError('no such luck')\n"),
    )
    pi.power_on()
    device_says(lab, "idle")
    before = shown(pi, "MainPID")
    done = lab.farm.farm("devices", "upgrade", "raspberry*", "--wheel", str(newer))
    assert done.returncode == 0, done.stdout + done.stderr + lab.journal(pi)
    assert lab.farm.tracker.devices()[0].fingerprint.agent_version == f"{__version__}.1"
    assert shown(pi, "MainPID") == before

    pi.shape_link("rate", "200kbit")
    ordered = lab.farm.farm("devices", "upgrade", "raspberrypi", "--wheel", str(newest), "--detach")
    assert ordered.returncode == 0, ordered.stderr
    wait_until(lambda: lab.farm.tracker.devices()[0].upgrade.share > 0.1, "a wheel on its way", 60)
    pi.cut_power()
    pi.power_on()

    def version() -> str:
        return str(lab.farm.tracker.devices()[0].fingerprint.agent_version)

    wait_until(lambda: version() == f"{__version__}.2", "the newest version", 400)
    done = lab.farm.farm("devices", "upgrade", "raspberrypi", "--wheel", str(broken))
    assert done.returncode == 1
    assert "no such luck" in " ".join((done.stdout + done.stderr).split())
    assert version() == f"{__version__}.2"
