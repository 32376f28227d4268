"""The tiny kernel that `agent doctor` runs. It is prebuilt beside the runner, since a board has no compiler."""

from __future__ import annotations

from pathlib import Path

from tvm_farm.agent.runner import find_runner

__all__ = ["PROBE_ENTRY", "find_probe_kernel"]

#: The name of the kernel's function. It adds one to each element of a float32 vector, (source, destination), as a
#: compiled TVM kernel takes them.
PROBE_ENTRY = "add_one"


def find_probe_kernel(arch: str | None = None) -> Path:
    """The kernel for ``arch``, this machine's by default. Raises RunnerError where no runner was built for it."""
    return find_runner(arch).with_name("probe-kernel.so")
