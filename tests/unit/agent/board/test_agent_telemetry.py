"""How a board feels, from files of real boards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.board_trees import RASPBERRY_PI_4, ROC_RK3399, X86_SERVER, grow
from tvm_farm.agent.board.fingerprint import read_fingerprint
from tvm_farm.agent.board.telemetry import TelemetryReader
from tvm_farm.agent.doctor.board_checks import check_throttling
from tvm_farm.agent.doctor.check import Verdict
from tvm_farm.protos.device import Telemetry


def reader(root: Path, cpus: int) -> TelemetryReader:
    clusters = read_fingerprint(root=root, affinity=range(cpus)).clusters
    return TelemetryReader(clusters, sys=root / "sys", proc=root / "proc")


def test_raspberry_pi(tmp_path: Path) -> None:
    senses = reader(grow(tmp_path, RASPBERRY_PI_4), 4)
    grow(tmp_path, {"proc/stat": "cpu  150 0 125 720 105 0 0 0 0 0\n"})  # 75 busy of 100 jiffies, 5 waiting for a disk
    felt = senses.read()
    assert felt.temperature_c == 61.342
    assert felt.frequency_khz == (1_000_000,)
    # 0x50005: under-voltage and throttled now; the upper half is what happened since boot.
    assert felt.throttling == ("under-voltage", "throttled")
    assert felt.load_1m == 0.52
    assert felt.memory_available_bytes == 3_500_000 * 1024
    assert felt.cpu_percent == 75.0
    assert felt.at_unix_s > 1.7e9


def test_the_firmware_of_a_raspberry_pi_5_lies_elsewhere(tmp_path: Path) -> None:
    tree = {name.replace("soc/soc:", "soc@107c000000/soc@107c000000:"): text for name, text in RASPBERRY_PI_4.items()}
    assert reader(grow(tmp_path, tree), 4).read().throttling == ("under-voltage", "throttled")


def test_a_hot_gpu_is_not_the_cpus_temperature_and_clusters_have_their_own_clock(tmp_path: Path) -> None:
    felt = reader(grow(tmp_path, ROC_RK3399), 6).read()
    assert felt.temperature_c == 48.333
    assert felt.frequency_khz == (408_000, 1_800_000)
    assert felt.throttling == ()


def test_x86_throttle_counters_tell_by_their_difference(tmp_path: Path) -> None:
    senses = reader(grow(tmp_path, X86_SERVER), 2)
    assert senses.read().temperature_c == 54.75
    assert senses.read().throttling == ()
    grow(tmp_path, {"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "8\n"})
    assert senses.read().throttling == ("throttled",)
    assert senses.read().throttling == ()


def test_under_voltage_as_a_mainline_kernel_tells_it(tmp_path: Path) -> None:
    chip = "sys/class/hwmon/hwmon0"
    senses = reader(grow(tmp_path, {f"{chip}/name": "rpi_volt\n", f"{chip}/in0_lcrit_alarm": "0\n"}), 1)
    assert senses.read().throttling == ()
    grow(tmp_path, {f"{chip}/in0_lcrit_alarm": "1\n"})
    assert senses.read().throttling == ("under-voltage",)


def test_it_names_the_files_that_it_reads(tmp_path: Path) -> None:
    senses = reader(grow(tmp_path, ROC_RK3399), 6)
    named = {str(path.relative_to(tmp_path)) for path in senses.files}
    assert named < ROC_RK3399.keys()
    assert "sys/devices/system/cpu/cpu4/cpufreq/scaling_cur_freq" in named
    grow(tmp_path, dict.fromkeys(named, "1\n"))
    felt = senses.read()
    assert (felt.temperature_c, felt.frequency_khz) == (0.001, (1, 1))


def test_what_a_board_does_not_offer_is_absent(tmp_path: Path) -> None:
    felt = TelemetryReader((), sys=tmp_path, proc=tmp_path).read()
    assert felt == Telemetry(at_unix_s=felt.at_unix_s)


@pytest.mark.parametrize("text", ["0\n", "-40000\n", "255000\n", "", "off\n"])
def test_a_sensor_that_talks_nonsense(tmp_path: Path, text: str) -> None:
    files = {"class/thermal/thermal_zone0/type": "cpu-thermal\n", "class/thermal/thermal_zone0/temp": text}
    assert TelemetryReader(sys=grow(tmp_path, files), proc=tmp_path).read().temperature_c is None


VOLT = {"sys/class/hwmon/hwmon0/name": "rpi_volt\n", "sys/class/hwmon/hwmon0/in0_lcrit_alarm": "0\n"}
FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"


@pytest.mark.parametrize(
    ("files", "felt"),
    [
        ({FLAGS: "0\n"}, ()),
        ({FLAGS: "50000\n"}, ()),  # an old kernel: some time since boot
        ({FLAGS: "50000\n"} | VOLT, ("under-voltage", "throttled")),  # in the last 2 s
        ({FLAGS: "80001\n"} | VOLT, ("under-voltage", "soft-temperature-limit")),
        ({FLAGS: "0\n"} | VOLT, ()),
        (VOLT, ()),
        (VOLT | {"sys/class/hwmon/hwmon0/in0_lcrit_alarm": "1\n"}, ("under-voltage",)),
    ],
)
def test_what_was_shorter_than_two_seconds_is_seen_too(
    tmp_path: Path, files: dict[str, str], felt: tuple[str, ...]
) -> None:
    assert reader(grow(tmp_path, files), 1).read().throttling == felt


@pytest.mark.parametrize(
    ("files", "verdict", "said"),
    [
        ({FLAGS: "0\n"}, Verdict.OK, "none now"),
        ({FLAGS: "1\n"}, Verdict.HINT, "now: under-voltage"),
        (VOLT, Verdict.HINT, "none now; this kernel tells of under-voltage alone"),
        (VOLT | {"sys/class/hwmon/hwmon0/in0_lcrit_alarm": "1\n"}, Verdict.HINT, "now: under-voltage"),
        ({}, Verdict.HINT, "this kernel tells of none"),
    ],
)
def test_doctor_says_what_is_seen_of_a_raspberry_pi(
    tmp_path: Path, files: dict[str, str], verdict: Verdict, said: str
) -> None:
    sensors = reader(grow(tmp_path, files), 1)
    found = check_throttling("Raspberry Pi 3 Model B Plus Rev 1.3", sensors)
    assert found is not None
    assert (found.verdict, found.said) == (verdict, said)
    assert bool(found.remedy) == (verdict is Verdict.HINT)
    assert check_throttling("Firefly ROC-RK3399-PC Board", sensors) is None
