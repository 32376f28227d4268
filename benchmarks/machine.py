"""The machine that a result comes from, in one line."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

import psutil

from tvm_farm.agent.board.fingerprint import read_fingerprint
from tvm_farm.tracker.domain.target import derive_target

__all__ = ["describe_machine", "host_target", "threads"]


def describe_machine() -> str:
    """Processor, CPUs, memory, system and the versions that matter."""
    cpus = psutil.cpu_count()
    memory_gb = psutil.virtual_memory().total / 2**30
    versions = f"Python {platform.python_version()}, apache-tvm {importlib.metadata.version('apache-tvm')}"
    return f"{_processor()}, {cpus} CPUs, {memory_gb:.0f} GB, {_system()}, {versions}"


def threads() -> int:
    """Threads of a kernel on both sides: one a CPU that this process may use."""
    return len(psutil.Process().cpu_affinity() or [0])


def host_target() -> str:
    """The target that the farm derives for a device of this machine, as JSON; stock TVM gets the same."""
    return derive_target(read_fingerprint(), threads()).target


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()
