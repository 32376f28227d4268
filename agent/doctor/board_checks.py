"""The board: what it is, and whether timings on it can be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from tvm_farm.agent.board.device import Device
from tvm_farm.agent.board.telemetry import TelemetryReader
from tvm_farm.agent.doctor.check import Check, Verdict
from tvm_farm.protos import quantities
from tvm_farm.protos.device import Fingerprint

__all__ = ["check_board", "check_throttling"]


def check_board(device: Device) -> Iterator[Check]:
    """The board of ``device``, its clock, its temperature, its throttling."""
    yield _board(device.fingerprint)
    yield _governor(device.fingerprint)
    yield _temperature(device)
    if found := check_throttling(device.fingerprint.board_model, device.telemetry()):
        yield found


def _board(fingerprint: Fingerprint) -> Check:
    clusters = ", ".join(f"{len(c.cpus)} x {c.name or 'unnamed CPU'}" for c in fingerprint.clusters)
    model = fingerprint.board_model or "model unknown"
    memory = quantities.size(fingerprint.memory_bytes)
    return Check("board", Verdict.OK, f"{model}, {fingerprint.arch}, {clusters}, {memory}")


def _governor(fingerprint: Fingerprint) -> Check:
    governors = {cluster.governor for cluster in fingerprint.clusters if cluster.governor}
    if not governors:
        return Check("CPU clock", Verdict.OK, "no cpufreq here: the clock is not this system's to set")
    said = f"governor {', '.join(sorted(governors))}"
    if governors == {"performance"}:
        return Check("CPU clock", Verdict.OK, said)
    remedy = (
        "timings vary with the clock; fix it: "
        "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    )
    return Check("CPU clock", Verdict.HINT, said, remedy)


def _temperature(device: Device) -> Check:
    celsius = device.telemetry().read().temperature_c
    if celsius is None:
        remedy = "a board without a sensor cannot be told hot from cold; nothing to do on a virtual machine"
        return Check("temperature", Verdict.HINT, "no CPU sensor readable", remedy)
    return Check("temperature", Verdict.OK, f"{celsius:.1f} °C")


def check_throttling(board_model: str, sensors: TelemetryReader) -> Check | None:
    """What is seen of a Raspberry Pi's throttling, and is so now; None on any other board.

    /dev/vcio, by which `vcgencmd` asks the firmware, is not asked: a kernel that has it has get_throttled, too.
    """
    if "Raspberry Pi" not in board_model:
        return None
    if now := sensors.read().throttling:
        remedy = "timings vary with it; under-voltage: a stronger supply or a shorter cable, the others: cooling"
        return Check("throttling", Verdict.HINT, f"now: {', '.join(now)}", remedy)
    told = sensors.pi_tells
    if len(told) > 1:
        return Check("throttling", Verdict.OK, "none now")
    remedy = "throttling by heat shows in the temperature alone; the kernel of Raspberry Pi OS tells of both"
    if told:
        return Check("throttling", Verdict.HINT, f"none now; this kernel tells of {told[0]} alone", remedy)
    remedy = f"`sudo modprobe raspberrypi_hwmon`, where it is, tells of under-voltage; {remedy}"
    return Check("throttling", Verdict.HINT, "this kernel tells of none", remedy)
