"""The agent put together from its parts: the only place that picks concrete ones."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal

from agent.board import Board
from agent.device import Device, open_device
from agent.discovery import locate
from agent.effects import Exit
from agent.errors import EXIT_OK, RunnerUnusableError
from agent.messages import Join
from agent.runner import (
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
from agent.runtime import BoardRuntime, RuntimeFolder
from agent.settings import Settings
from agent.state_folder import StateFolder, open_state, runtime_folder
from protos.device import RunnerInfo
from protos.discovery import PROTOCOL_VERSION
from protos.runtime import RuntimeRequest

__all__ = ["start_agent", "start_runner"]

log = logging.getLogger("agent")

_PAUSE_FIRST_S, _PAUSE_LONGEST_S = 1.0, 60.0


def start_agent(settings: Settings) -> int:
    """Run until the session ends; the exit code. Raises AgentError for what a person has to mend."""
    _give_way()
    with open_state(settings.state_dir) as state:
        return asyncio.run(_keep_on(settings, state))


def _give_way() -> None:
    """Wake without taking a CPU from a kernel that is being timed; the runner takes this back for kernels alone.

    Not SCHED_IDLE or a lower priority: without privileges that could not be taken back.
    """
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or a sandbox: kernels are timed as well as can be
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


async def start_runner(settings: Settings, device: Device) -> tuple[Runner, RunnerInfo]:
    """The runner that ``settings`` ask for on ``device``, started with what this machine has for it.

    Where the tracker may send TVM's runtime it can be in micro mode still, though full mode was asked for. Raises
    RunnerUnusableError with the remedy, or DeviceAwayError.
    """
    if settings.runner == "synthetic":
        synthetic = SyntheticRunner(settings.synthetic)
        return synthetic, await synthetic.start()
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
        return await _started(settings, device, libraries)
    except DeviceAwayError:
        raise
    except RunnerError as error:
        if libraries is not None and settings.takes_runtime:
            log.warning("TVM's runtime on this board does not start, the tracker's may: %s", error)
            with contextlib.suppress(RunnerError):
                return await _started(settings, device, None)
        remedy = "; --mode micro does without TVM's runtime" if libraries else ""
        if settings.via and not settings.libc_dir and not device.fingerprint.libc.startswith("glibc"):
            remedy = f"; its C library is {device.fingerprint.libc or 'unknown'}: --libc DIR brings the one it needs"
        raise RunnerUnusableError(f"{error}{remedy}") from error


async def _started(
    settings: Settings, device: Device, libraries: RuntimeLibraries | None
) -> tuple[NativeRunner, RunnerInfo]:
    libc = find_libc(settings.libc_dir) if settings.libc_dir else None
    native = NativeRunner(find_runner(device.arch), libraries, settings.threads, device.transport, libc)
    return native, await native.start()


async def _keep_on(settings: Settings, state: StateFolder) -> int:
    """The session, and the next where its device went away and came back; the exit code."""
    pause_s = _PAUSE_FIRST_S
    _end_by_signal()
    try:
        while True:
            try:
                async with open_device(settings.via, state.device_id) as device:
                    ending = await _run(settings, state, device)
                if not ending.device_away:
                    if ending.reason:
                        log.error("%s", ending.reason)
                    return ending.code
                pause_s = _PAUSE_FIRST_S
            except DeviceAwayError as error:
                log.warning("%s", error)
            except RunnerError as error:
                raise RunnerUnusableError(str(error)) from error
            _end_by_signal()
            log.info("looking for the device again in %.0f s, and so on for ever", pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(_PAUSE_LONGEST_S, 2 * pause_s)
    except asyncio.CancelledError:
        return EXIT_OK


def _end_by_signal() -> None:
    """While no board is there to drain, SIGTERM and SIGINT end what the calling task does."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def _run(settings: Settings, state: StateFolder, device: Device) -> Exit:
    runner, info = await start_runner(settings, device)
    try:
        board = _board(settings, state, device, runner, info)
        with contextlib.ExitStack() as stack:
            if settings.metrics_port is not None:
                from agent.metrics import serve_metrics

                port = stack.enter_context(serve_metrics(board, settings.metrics_port))
                log.info("metrics at http://0.0.0.0:%d/metrics", port)
            ending = await board.run()
    finally:
        await runner.stop()
    if not ending.reason:
        log.info("stopped: %d trials measured", sum(board.outcomes.values()))
    return ending


def _board(settings: Settings, state: StateFolder, device: Device, runner: Runner, info: RunnerInfo) -> Board:
    fingerprint = device.fingerprint
    nameless = settings.via and fingerprint.hostname in ("", "localhost", "(none)")  # most phones
    name = settings.name or (settings.via.partition(":")[2] if nameless else fingerprint.hostname)
    log.info(
        "device %s (%s): %s, CPUs: %d, %s mode, threads: %d",
        name,
        state.device_id[:8],
        fingerprint.board_model or fingerprint.arch,
        fingerprint.cores,
        info.mode.value if info.mode else "unknown",
        info.threads,
    )
    join = Join(
        protocol_version=PROTOCOL_VERSION,
        device_id=state.device_id,
        name=name,
        fingerprint=fingerprint,
        runner=info,
        labels=dict(settings.labels),
        slots=settings.slots,
        short_slots=settings.short_slots,
    )
    runtime = None
    if isinstance(runner, NativeRunner) and settings.takes_runtime:
        asks = RuntimeRequest(fingerprint.arch, fingerprint.libc)
        folder, required = RuntimeFolder(state.runtime), settings.mode == "full"
        # One that is installed and did not start is as good as none.
        installed = found if (found := find_runtime()) == runner.libraries else None
        runtime = BoardRuntime(runner, info, folder, asks, installed, required=required)
    return Board(
        join=join,
        runner=runner,
        telemetry=device.telemetry,
        locate=functools.partial(locate, settings),
        cache_dir=state.artifacts,
        cache_bytes=settings.cache_bytes,
        runtime=runtime,
        watch=device.watch,
    )
