"""``agent doctor``: what a join needs, checked line by line, each fault with its remedy."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import os
import platform
import struct
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from tvm_farm.agent.clusters import Part, parts_of
from tvm_farm.agent.device import Device, open_device
from tvm_farm.agent.discovery import choose
from tvm_farm.agent.disk import try_disk
from tvm_farm.agent.errors import (
    AgentError,
    LinkLostError,
    RunnerUnusableError,
    SettingsError,
    SeveralTrackersError,
    StateInUseError,
)
from tvm_farm.agent.fingerprint import read_fingerprint
from tvm_farm.agent.link import ask_runtime, ask_status
from tvm_farm.agent.probe_kernel import PROBE_ENTRY, find_probe_kernel
from tvm_farm.agent.runner import LocalRequest, Runner, RunnerError
from tvm_farm.agent.settings import Settings
from tvm_farm.agent.start import start_runner
from tvm_farm.agent.state_folder import open_state
from tvm_farm.agent.telemetry import TelemetryReader
from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.discovery import PROTOCOL_VERSION, FoundTracker, browse_async
from tvm_farm.protos.measurement import Argument, Artifact, MeasureRequest, Outcome, Program, ProgramKind, TimingPlan
from tvm_farm.protos.runtime import RuntimeOffer, RuntimeRequest
from tvm_farm.protos.version import __version__

__all__ = ["Check", "Verdict", "check_throttling", "examine"]

_PACKAGES = ("grpcio", "protobuf", "zeroconf", "click", "prometheus-client")
_LISTEN_S = 3.0
_CONNECT_S = 3.0


class Verdict(str, Enum):
    OK = "ok"
    HINT = "hint"  # works, and could be better
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One line of the report. ``remedy`` is "" where nothing is to be done."""

    name: str
    verdict: Verdict
    said: str
    remedy: str = ""


async def examine(settings: Settings) -> AsyncIterator[Check]:
    """Every check, in the order in which a fault would be met. Raises nothing for a fault: that is a Check."""
    yield _python()
    yield _state(settings)
    offers: list[RuntimeOffer] = []
    async for check in _tracker(settings, offers):
        yield check
    try:
        async with open_device(settings.via, f"doctor-{os.getpid()}") as device:
            if settings.via:
                yield Check("device", Verdict.OK, f"{settings.via} gives a shell")
            for part in _parts(settings, device):
                if isinstance(part, Check):
                    yield part
                    continue
                async for check in _runner(settings, device, part, offers):
                    yield replace(check, name=f"{check.name} {part.name}".strip())
            yield _board(device.fingerprint)
            yield _governor(device.fingerprint)
            yield _temperature(device)
            if found := check_throttling(device.fingerprint.board_model, device.telemetry()):
                yield found
    except RunnerError as error:
        yield Check("device", Verdict.FAILED, str(error), "no kernel can run there until it answers")


def _python() -> Check:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return Check("python", Verdict.OK, f"{platform.python_version()}, agent {__version__}, {versions}")


def _state(settings: Settings) -> Check:
    try:
        with open_state(settings.state_dir) as state:
            if fault := try_disk(state.root):
                remedy = "no kernel can be measured here until it takes files: free some room, or mend the disk"
                return Check("state folder", Verdict.FAILED, f"{state.root}: {fault}", remedy)
            return Check("state folder", Verdict.OK, f"{state.root}, device {state.device_id}")
    except StateInUseError:
        return Check("state folder", Verdict.OK, f"{settings.state_dir}, in use by an agent that runs now")
    except AgentError as error:
        return Check("state folder", Verdict.FAILED, str(error), "give another folder with --state DIR")


async def _tracker(settings: Settings, offers: list[RuntimeOffer]) -> AsyncIterator[Check]:
    """What the tracker has for this board's full mode is added to ``offers``."""
    if settings.tracker:
        addresses: Sequence[str] = [settings.tracker]
    else:
        check, found = await _mdns(settings)
        yield check
        if found is None:
            return
        addresses = found.addresses
    reached = []
    for address in addresses:
        check = await _port(address)
        yield check
        if check.verdict is Verdict.OK:
            reached.append(address)
    for address in reached:
        check = await _answer(address)
        yield check
        if check.verdict is Verdict.OK and settings.takes_runtime and not offers:
            yield await _offer(address, offers)


async def _mdns(settings: Settings) -> tuple[Check, FoundTracker | None]:
    remedy = (
        "start one with `tracker start` in this network; mDNS does not cross routers, VLANs or a container's network, "
        "and a firewall must let UDP 5353 pass: where it cannot, give the address with --tracker HOST:PORT"
    )
    try:
        heard = await browse_async(_LISTEN_S, farm=settings.farm or None, interface=settings.mdns_interface)
        found = choose(heard, settings.farm)
    except SeveralTrackersError as error:
        return Check("mDNS", Verdict.FAILED, str(error), "run `agent doctor --farm NAME`"), None
    except OSError as error:
        return Check("mDNS", Verdict.FAILED, f"the network refuses multicast: {error}", remedy), None
    if found is None:
        wanted = f"no tracker of farm {settings.farm}" if settings.farm else "no tracker"
        others = f"; heard: {', '.join(tracker.farm for tracker in heard)}" if heard else ""
        return Check("mDNS", Verdict.FAILED, f"{wanted} heard in {_LISTEN_S:.0f} s{others}", remedy), None
    said = f"heard farm {found.farm} at {', '.join(found.addresses)}"
    return Check("mDNS", Verdict.OK, said), found


async def _port(address: str) -> Check:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host.strip("[]"), int(port)), _CONNECT_S)
    except asyncio.TimeoutError:
        remedy = "the host does not answer: is it on, is a firewall in between?"
        return Check("tracker port", Verdict.FAILED, f"no answer from {address} in {_CONNECT_S:.0f} s", remedy)
    except OSError as error:
        remedy = "is the tracker running there (`tracker start`), and is the port right?"
        return Check("tracker port", Verdict.FAILED, f"{address}: {_cause(error)}", remedy)
    writer.close()
    return Check("tracker port", Verdict.OK, f"{address} accepts connections")


def _cause(error: OSError) -> str:
    # asyncio replaces the system's words by "Connect call failed"; name look-ups have numbers below zero.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


async def _answer(address: str) -> Check:
    try:
        status = await ask_status(address)
    except ConnectionError as error:
        remedy = "something else listens on this port: check --tracker"
        return Check("tracker", Verdict.FAILED, f"{address} does not answer as a tracker: {error}", remedy)
    said = f"farm {status.farm}, version {status.version}, protocol {status.protocol_version}"
    if status.protocol_version != PROTOCOL_VERSION:
        older = "this agent" if status.protocol_version > PROTOCOL_VERSION else "the tracker"
        return Check(
            "tracker", Verdict.FAILED, f"{said}; this agent speaks protocol {PROTOCOL_VERSION}", f"upgrade {older}"
        )
    return Check("tracker", Verdict.OK, said)


async def _offer(address: str, offers: list[RuntimeOffer]) -> Check:
    fingerprint = read_fingerprint()
    remedy = "kernels run here all the same; whole models need the runtime"
    try:
        offer = await ask_runtime(address, RuntimeRequest(fingerprint.arch, fingerprint.libc))
    except LinkLostError as error:
        return Check("runtime", Verdict.FAILED, f"{address} did not answer: {error}", "ask again")
    if offer is None:
        return Check("runtime", Verdict.HINT, "the tracker is older and sends no TVM runtime", "upgrade the tracker")
    offers.append(offer)
    if offer.runtime is None:
        return Check("runtime", Verdict.HINT, offer.reason, remedy)
    size = f"{offer.runtime.size / (1 << 20):.1f} MB"
    said = f"the tracker has TVM {offer.runtime.tvm_version} for {offer.runtime.arch} with {offer.runtime.libc}, {size}"
    return Check("runtime", Verdict.OK, said)


def _parts(settings: Settings, device: Device) -> Sequence[Part | Check]:
    """The devices of the board, after a line on them where they are several."""
    try:
        parts = parts_of(device.fingerprint, settings.cluster)
    except SettingsError as error:
        return [Check("cores", Verdict.FAILED, str(error), "choose another --cluster, or leave it out")]
    if len(parts) == 1:
        return parts
    kinds = " and ".join(f"{part.name} (CPUs {', '.join(map(str, part.cpus))})" for part in parts)
    return [Check("cores", Verdict.OK, f"{kinds} are {len(parts)} devices, of which one at a time executes"), *parts]


async def _runner(
    settings: Settings, device: Device, part: Part, offers: Sequence[RuntimeOffer]
) -> AsyncIterator[Check]:
    try:
        runner, info = await start_runner(settings, device, part.cpus)
    except RunnerUnusableError as error:
        yield Check("runner", Verdict.FAILED, str(error), "no kernel can run here until it starts")
        return
    try:
        yield _mode(settings, info, offers)
        yield await _kernel(runner, settings, device)
    finally:
        await runner.stop()


def _mode(settings: Settings, info: RunnerInfo, offers: Sequence[RuntimeOffer]) -> Check:
    if info.mode is RunnerMode.FULL:
        versions = f"TVM {info.tvm_version or 'of unknown version'}, tvm-ffi {info.tvm_ffi_version or 'unknown'}"
        return Check("runner", Verdict.OK, f"full mode, {info.threads} threads, {versions}")
    said = f"micro mode, {info.threads} threads: kernels run, whole models do not"
    if settings.mode == "micro":
        return Check("runner", Verdict.OK, f"{said} (as asked by --mode micro)")
    if any(offer.runtime for offer in offers):
        said = f"micro mode, {info.threads} threads, until the first join brings TVM's runtime for full mode"
        return Check("runner", Verdict.OK, said)
    if settings.via:
        remedy = "for whole models give the folder of TVM's runtime for the device with --runtime DIR"
        return Check("runner", Verdict.HINT, said, remedy)
    return Check(
        "runner",
        Verdict.FAILED if settings.mode == "full" else Verdict.HINT,
        f"{said}, because libtvm_ffi.so and libtvm_runtime.so are not among this Python's packages",
        "a tracker that has them sends them at a join; --runtime DIR names a folder of the two",
    )


async def _kernel(runner: Runner, settings: Settings, device: Device) -> Check:
    """Run a kernel that adds one to four numbers, from a cache folder in the state folder as real ones are."""
    try:
        data = find_probe_kernel(device.arch).read_bytes()
        with tempfile.TemporaryDirectory(dir=settings.state_dir) as folder:
            path = Path(folder) / "probe.so"
            path.write_bytes(data)
            report = await runner.run(LocalRequest(_probe_request(data), path))
    except (OSError, RunnerError) as error:
        return Check("kernel", Verdict.FAILED, f"a tiny kernel cannot be run: {error}", "mend the lines above first")
    if report.outcome is not Outcome.OK:
        said = f"a tiny kernel ends in {report.outcome.value}: {report.detail}"
        remedy = f"is {settings.state_dir} on a file system that forbids programs (noexec)? Give another --state DIR"
        if settings.via:
            remedy = "report this with your device"
        return Check("kernel", Verdict.FAILED, said, remedy)
    if [output.data for output in report.outputs] != [struct.pack("<4f", 2.0, 3.0, 4.0, 5.0)]:
        return Check("kernel", Verdict.FAILED, "a tiny kernel gives a wrong result", "report this with your board")
    return Check("kernel", Verdict.OK, f"a tiny kernel runs, {min(report.run_secs) * 1e9:.0f} ns a call")


def _probe_request(library: bytes) -> MeasureRequest:
    source = struct.pack("<4f", 1.0, 2.0, 3.0, 4.0)
    args = (Argument((4,), "float32", data=source), Argument((4,), "float32", data=bytes(16)))
    artifact = Artifact(hashlib.sha256(library).hexdigest(), len(library))
    program = Program(ProgramKind.KERNEL, artifact, PROBE_ENTRY, args, outputs=(1,))
    return MeasureRequest("doctor", program, TimingPlan(number=100, repeat=3))


def _board(fingerprint: Fingerprint) -> Check:
    clusters = ", ".join(f"{len(c.cpus)} x {c.name or 'unnamed CPU'}" for c in fingerprint.clusters)
    model = fingerprint.board_model or "model unknown"
    memory = f"{fingerprint.memory_bytes / (1 << 30):.1f} GB"
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
