"""The agent put together from its parts. Nothing else picks concrete parts."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tvm_farm.agent.board.device import Device, open_device
from tvm_farm.agent.board.machine import read_machine
from tvm_farm.agent.board.parts import Part, parts_of
from tvm_farm.agent.driver.session_driver import SessionDriver
from tvm_farm.agent.errors import EXIT_OK, AgentError, RunnerUnusableError
from tvm_farm.agent.files.state_folder import StateFolder, open_state
from tvm_farm.agent.link.discovery import locate
from tvm_farm.agent.runner import (
    DeviceAwayError,
    NativeRunner,
    Runner,
    RunnerError,
    find_runtime,
)
from tvm_farm.agent.runtime.agreement import RuntimeAgreement
from tvm_farm.agent.runtime.folder import RuntimeFolder
from tvm_farm.agent.runtime.starting import start_runner
from tvm_farm.agent.service.supervision import Supervision, status_of
from tvm_farm.agent.session.effects import Exit
from tvm_farm.agent.settings import Settings
from tvm_farm.agent.upgrade.launch import farm_before, remember_farm, restart
from tvm_farm.agent.upgrade.upgrades import AgentUpgrades
from tvm_farm.protos.device import RunnerInfo
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.join import Join
from tvm_farm.protos.names import nearest_name
from tvm_farm.protos.runtime import RuntimeRequest

__all__ = ["start_agent"]

log = logging.getLogger("agent")

_PAUSE_FIRST_S, _PAUSE_LONGEST_S = 1.0, 60.0


def start_agent(settings: Settings) -> int:
    """Run until the session ends; the exit code. Raises AgentError for what a person has to mend.

    Does not return where an upgrade is to be run: the process becomes the agent anew.
    """
    _give_way()
    upgrades = AgentUpgrades(settings.state_dir, taken=not settings.no_upgrade)
    try:
        with open_state(settings.state_dir) as state:
            ending = asyncio.run(_keep_on(settings, state, upgrades))
    except AgentError as error:
        upgrades.ended(error.exit_code, str(error))
        raise
    upgrades.ended(ending.code, ending.reason)
    if ending.restart:
        restart()
    return ending.code


def _give_way() -> None:
    """Wake without taking a CPU from a kernel that is being timed. The runner takes this back, for kernels alone.

    SCHED_IDLE and a lower priority would not do: without privileges they could not be taken back.
    """
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or a sandbox: kernels are timed as well as can be
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


async def _keep_on(settings: Settings, state: StateFolder, upgrades: AgentUpgrades) -> Exit:
    """Run session after session while the device goes away and comes back; what the last session ended with."""
    supervision = Supervision()
    with supervision.watching():
        return await _keep_running(settings, state, supervision, upgrades)


async def _keep_running(
    settings: Settings, state: StateFolder, supervision: Supervision, upgrades: AgentUpgrades
) -> Exit:
    pause_s = _PAUSE_FIRST_S
    _end_by_signal()
    try:
        while True:
            try:
                async with open_device(settings.via, state.device_id) as device:
                    ending = await _run(settings, state, device, supervision, upgrades)
                if not ending.device_away:
                    if ending.reason:
                        log.error("%s", ending.reason)
                    return ending
                pause_s = _PAUSE_FIRST_S
            except DeviceAwayError as error:
                log.warning("%s", error)
            except RunnerError as error:
                raise RunnerUnusableError(str(error)) from error
            _end_by_signal()
            supervision.status = lambda: f"{settings.via} is away, looking for it"
            supervision.ready()
            log.info("looking for the device again in %.0f s, and so on for ever", pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(_PAUSE_LONGEST_S, 2 * pause_s)
    except asyncio.CancelledError:
        return Exit(EXIT_OK)


def _end_by_signal() -> None:
    """While no device is there to drain, SIGTERM and SIGINT end what the calling task does."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def _run(
    settings: Settings, state: StateFolder, device: Device, supervision: Supervision, upgrades: AgentUpgrades
) -> Exit:
    parts = parts_of(device.fingerprint, settings.cluster)
    turn = asyncio.Lock() if len(parts) > 1 else None
    devices = []
    async with contextlib.AsyncExitStack() as stack:
        for part in parts:
            own, folder = settings, state
            if part.name:
                folder = stack.enter_context(open_state(_folder_of(part, state.root / "cores")))
                own = replace(settings, state_dir=folder.root, cache_bytes=settings.cache_bytes // len(parts))
            runner, info = await start_runner(own, device, part.cpus)
            stack.push_async_callback(runner.stop)
            devices.append(_device(own, folder, device, part, runner, info, turn, upgrades))
        if settings.metrics_port is not None:
            from tvm_farm.agent.service.metrics import serve_metrics

            port = stack.enter_context(serve_metrics(devices, settings.metrics_port))
            log.info("metrics at http://localhost:%d/metrics", port)
        supervision.status = lambda: status_of({each.name: each.session for each in devices})
        ending = await _run_all(devices, supervision)
    if ending.restart:
        remember_farm(devices[0].session.farm)
    if not ending.reason:
        log.info("stopped: %d trials measured", sum(sum(each.outcomes.values()) for each in devices))
    return ending


def _folder_of(part: Part, cores: Path) -> Path:
    """The folder of a board's part in ``cores``. One from before these cores had a name goes on under it."""
    folder, former = cores / part.name, cores / part.former_name
    if part.former_name and former.is_dir() and not folder.exists():
        with contextlib.suppress(OSError):  # a disk that takes nothing: it goes on where it is
            former.rename(folder)
        return folder if folder.exists() else former
    return folder


async def _run_all(devices: Sequence[SessionDriver], supervision: Supervision) -> Exit:
    """Run every device until one ends, which ends the others; what the first ended with."""
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        asked = True
        supervision.stopping()
        for each in devices:
            each.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    running = [asyncio.create_task(each.run()) for each in devices]
    supervision.ready()
    try:
        first, rest = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for each in devices:
            each.stop(again=False)
        if rest:
            await asyncio.wait(rest)
        endings = [task.result() for task in (*first, *rest)]
        ending = next((ending for ending in endings if ending.reason), endings[0])
        return replace(ending, restart=not asked and any(ending.restart for ending in endings))
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        for task in running:
            if not task.cancelled():
                task.exception()  # the first of several is raised; asyncio would say that nobody looked at the others
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _device(
    settings: Settings,
    state: StateFolder,
    device: Device,
    part: Part,
    runner: Runner,
    info: RunnerInfo,
    turn: asyncio.Lock | None,
    upgrades: AgentUpgrades,
) -> SessionDriver:
    fingerprint = part.fingerprint
    nameless = settings.via and fingerprint.hostname in ("", "localhost", "(none)")  # most phones
    name = settings.name or (settings.via.partition(":")[2] if nameless else fingerprint.hostname)
    name = nearest_name(f"{name}-{part.name}" if part.name else name, "device")
    log.info(
        "device %s (%s): %s, CPUs: %s, %s mode, threads: %d",
        name,
        state.device_id[:8],
        fingerprint.board_model or fingerprint.arch,
        ", ".join(map(str, part.cpus)) or fingerprint.cores,
        info.mode.value,
        info.threads,
    )
    join = Join(
        protocol_version=PROTOCOL_VERSION,
        device_id=state.device_id,
        name=name,
        fingerprint=fingerprint,
        runner=info,
        labels={"cores": part.name, **settings.labels} if part.name else dict(settings.labels),
        slots=settings.slots,
        short_slots=settings.short_slots,
        code=upgrades.code,
        machine=read_machine(settings.via),
    )
    runtime = None
    if isinstance(runner, NativeRunner) and settings.takes_runtime:
        asks = RuntimeRequest(fingerprint.arch, fingerprint.libc)
        folder, required = RuntimeFolder(state.runtime), settings.mode == "full"
        # A runtime that is installed and did not start is as good as none.
        installed = found if (found := find_runtime()) == runner.libraries else None
        runtime = RuntimeAgreement(runner, info, folder, asks, installed, required=required)
    return SessionDriver(
        join=join,
        runner=runner,
        telemetry=functools.partial(device.telemetry, fingerprint.clusters),
        locate=lambda farm: locate(settings, farm or farm_before()),
        cache_dir=state.artifacts,
        cache_bytes=settings.cache_bytes,
        runtime=runtime,
        watch=device.watch,
        check=device.check,
        turn=turn,
        upgrades=upgrades,
        identity=state.identity,
    )
