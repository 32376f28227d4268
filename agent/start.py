"""The agent put together from its parts: the only place that picks concrete ones."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os

from agent.board import Board
from agent.discovery import locate
from agent.errors import RunnerUnusableError
from agent.fingerprint import read_fingerprint
from agent.messages import Join
from agent.runner import (
    NativeRunner,
    Runner,
    RunnerError,
    RuntimeLibraries,
    SyntheticRunner,
    find_runner,
    find_runtime,
)
from agent.runtime import BoardRuntime, RuntimeFolder
from agent.settings import Settings
from agent.state_folder import StateFolder, open_state, runtime_folder
from agent.telemetry import TelemetryReader
from protos.device import RunnerInfo
from protos.discovery import PROTOCOL_VERSION
from protos.runtime import RuntimeRequest

__all__ = ["start_agent", "start_runner"]

log = logging.getLogger("agent")


def start_agent(settings: Settings) -> int:
    """Run until the session ends; the exit code. Raises AgentError for what a person has to mend."""
    _give_way()
    with open_state(settings.state_dir) as state:
        return asyncio.run(_run(settings, state))


def _give_way() -> None:
    """Wake without taking a CPU from a kernel that is being timed; the runner takes this back for kernels alone.

    Not SCHED_IDLE or a lower priority: without privileges that could not be taken back.
    """
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or a sandbox: kernels are timed as well as can be
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


async def start_runner(settings: Settings) -> tuple[Runner, RunnerInfo]:
    """The runner that ``settings`` ask for, started with what this board has. Raises RunnerUnusableError.

    Where the tracker may send TVM's runtime it can be in micro mode still, though full mode was asked for.
    """
    if settings.runner == "synthetic":
        synthetic = SyntheticRunner(settings.synthetic)
        return synthetic, await synthetic.start()
    libraries = None if settings.mode == "micro" else find_runtime(settings.runtime_dir)
    if libraries is None and settings.runtime_dir is not None:
        raise RunnerUnusableError(
            f"full mode needs libtvm_ffi.so and libtvm_runtime.so, and they are not in {settings.runtime_dir}: "
            "leave out --runtime, and the tracker sends them"
        )
    if libraries is None and settings.takes_runtime:
        libraries = RuntimeFolder(runtime_folder(settings.state_dir)).last()
    try:
        return await _started(settings, libraries)
    except RunnerError as error:
        if libraries is not None and settings.takes_runtime:
            log.warning("TVM's runtime on this board does not start, the tracker's may: %s", error)
            with contextlib.suppress(RunnerError):
                return await _started(settings, None)
        remedy = "; --mode micro does without TVM's runtime" if libraries else ""
        raise RunnerUnusableError(f"{error}{remedy}") from error


async def _started(settings: Settings, libraries: RuntimeLibraries | None) -> tuple[NativeRunner, RunnerInfo]:
    native = NativeRunner(find_runner(), libraries, settings.threads)
    return native, await native.start()


async def _run(settings: Settings, state: StateFolder) -> int:
    runner, info = await start_runner(settings)
    try:
        board = _board(settings, state, runner, info)
        with contextlib.ExitStack() as stack:
            if settings.metrics_port is not None:
                from agent.metrics import serve_metrics

                port = stack.enter_context(serve_metrics(board, settings.metrics_port))
                log.info("metrics at http://0.0.0.0:%d/metrics", port)
            ending = await board.run()
    finally:
        await runner.stop()
    if ending.reason:
        log.error("%s", ending.reason)
    else:
        log.info("stopped: %d trials measured", sum(board.outcomes.values()))
    return ending.code


def _board(settings: Settings, state: StateFolder, runner: Runner, info: RunnerInfo) -> Board:
    fingerprint = read_fingerprint()
    log.info(
        "device %s (%s): %s, CPUs: %d, %s mode, threads: %d",
        settings.name,
        state.device_id[:8],
        fingerprint.board_model or fingerprint.arch,
        fingerprint.cores,
        info.mode.value if info.mode else "unknown",
        info.threads,
    )
    join = Join(
        protocol_version=PROTOCOL_VERSION,
        device_id=state.device_id,
        name=settings.name,
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
        telemetry=functools.partial(TelemetryReader, fingerprint.clusters),
        locate=functools.partial(locate, settings),
        cache_dir=state.artifacts,
        cache_bytes=settings.cache_bytes,
        runtime=runtime,
    )
