"""The whole examination: every check in its turn."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from tvm_farm.agent.board.device import Device, open_device
from tvm_farm.agent.board.parts import Part, parts_of
from tvm_farm.agent.doctor.board_checks import check_board
from tvm_farm.agent.doctor.check import Check, Verdict
from tvm_farm.agent.doctor.runner_checks import check_runner
from tvm_farm.agent.doctor.tracker_checks import check_tracker
from tvm_farm.agent.errors import AgentError, SettingsError, StateInUseError
from tvm_farm.agent.files.disk import try_disk
from tvm_farm.agent.files.state_folder import open_state
from tvm_farm.agent.runner import RunnerError
from tvm_farm.agent.settings import Settings
from tvm_farm.protos.runtime import RuntimeOffer
from tvm_farm.protos.version import __version__

__all__ = ["examine"]

_PACKAGES = ("grpcio", "protobuf", "zeroconf", "click", "prometheus-client")


async def examine(settings: Settings) -> AsyncIterator[Check]:
    """Every check, in the order in which a fault would be met. A fault is a Check, and raises nothing."""
    yield _python()
    yield _state(settings)
    offers: list[RuntimeOffer] = []
    async for check in check_tracker(settings, offers):
        yield check
    try:
        async with open_device(settings.via, f"doctor-{os.getpid()}") as device:
            if settings.via:
                yield Check("device", Verdict.OK, f"{settings.via} gives a shell")
            for part in _parts(settings, device):
                if isinstance(part, Check):
                    yield part
                    continue
                async for check in check_runner(settings, device, part, offers):
                    yield replace(check, name=f"{check.name} {part.name}".strip())
            for check in check_board(device):
                yield check
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
