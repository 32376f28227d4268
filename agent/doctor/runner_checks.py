"""The runner: whether it starts, in which mode, and whether a kernel runs."""

from __future__ import annotations

import hashlib
import struct
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from tvm_farm.agent.board.device import Device
from tvm_farm.agent.board.parts import Part
from tvm_farm.agent.doctor.check import Check, Verdict
from tvm_farm.agent.errors import RunnerUnusableError
from tvm_farm.agent.runner import LocalRequest, Runner, RunnerError
from tvm_farm.agent.runner.probe_kernel import PROBE_ENTRY, find_probe_kernel
from tvm_farm.agent.runtime.starting import start_runner
from tvm_farm.agent.settings import Settings
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.protos.measurement import Argument, Artifact, MeasureRequest, Outcome, Program, ProgramKind, TimingPlan
from tvm_farm.protos.runtime import RuntimeOffer

__all__ = ["check_runner"]


async def check_runner(
    settings: Settings, device: Device, part: Part, offers: Sequence[RuntimeOffer]
) -> AsyncIterator[Check]:
    """Start the runner of ``part``, and run a kernel with it."""
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
