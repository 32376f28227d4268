"""The runner of a device, started with the TVM runtime that is on this machine."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

from tvm_farm.agent.board.device import Device
from tvm_farm.agent.errors import RunnerUnusableError
from tvm_farm.agent.files.state_folder import runtime_folder
from tvm_farm.agent.runner import (
    DeviceAwayError,
    NativeRunner,
    Runner,
    RunnerError,
    RuntimeLibraries,
    SyntheticRunner,
    find_libc,
    find_runner,
    find_runtime,
)
from tvm_farm.agent.runtime.folder import RuntimeFolder
from tvm_farm.agent.settings import Settings
from tvm_farm.protos.device import RunnerInfo

__all__ = ["start_runner"]

log = logging.getLogger("agent")


async def start_runner(settings: Settings, device: Device, cpus: Sequence[int] = ()) -> tuple[Runner, RunnerInfo]:
    """The runner that ``settings`` ask for on ``device``, started with what this machine has for it.

    Kernels run on ``cpus`` alone; empty for all.

    Where the tracker may send TVM's runtime the runner can be in micro mode still, though full mode was asked for.
    Raises RunnerUnusableError with the remedy, or DeviceAwayError.
    """
    if settings.runner == "synthetic":
        synthetic = SyntheticRunner(settings.synthetic)
        return synthetic, await synthetic.start()
    try:
        find_runner(device.arch)
    except RunnerError as error:  # no mode and no library would help
        raise RunnerUnusableError(str(error)) from error
    # What this Python's packages hold is for this machine alone.
    without = settings.mode == "micro" or (settings.via and settings.runtime_dir is None)
    libraries = None if without else find_runtime(settings.runtime_dir)
    if libraries is None and settings.runtime_dir is not None:
        remedy = "use --mode micro" if settings.via else "leave out --runtime, and the tracker sends them"
        raise RunnerUnusableError(
            f"full mode needs libtvm_ffi.so and libtvm_runtime.so, and they are not in {settings.runtime_dir}: {remedy}"
        )
    if libraries is None and settings.takes_runtime:
        libraries = RuntimeFolder(runtime_folder(settings.state_dir)).last()
    try:
        return await _started(settings, device, libraries, cpus)
    except DeviceAwayError:
        raise
    except RunnerError as error:
        if libraries is not None and settings.takes_runtime:
            log.warning("TVM's runtime on this board does not start, the tracker's may: %s", error)
            with contextlib.suppress(RunnerError):
                return await _started(settings, device, None, cpus)
        remedy = "; --mode micro does without TVM's runtime" if libraries else ""
        if settings.via and not settings.libc_dir and not device.fingerprint.libc.startswith("glibc"):
            remedy = f"; its C library is {device.fingerprint.libc or 'unknown'}: --libc DIR brings the one it needs"
        raise RunnerUnusableError(f"{error}{remedy}") from error


async def _started(
    settings: Settings, device: Device, libraries: RuntimeLibraries | None, cpus: Sequence[int]
) -> tuple[NativeRunner, RunnerInfo]:
    libc = find_libc(settings.libc_dir) if settings.libc_dir else None
    native = NativeRunner(find_runner(device.arch), libraries, settings.threads, device.transport, libc, cpus)
    return native, await native.start()
