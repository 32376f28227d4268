"""One built kernel as a board is asked to time it, with the limits that its run is held to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tvm_farm.tracker.domain import Argument, Artifact, Limits, MeasureRequest, Program, ProgramKind, TimingPlan

__all__ = ["kernel_request", "run_timeout_s"]

#: What a kernel may allocate beside its arguments. Real workspaces are a few MB.
_WORKSPACE_BYTES = 1 << 30


def kernel_request(
    trial_id: str,
    library: Artifact,
    arguments: Sequence[Argument],
    plan: TimingPlan,
    slowest_s: float,
    hopeless_s: float = 0.0,
    outputs: Sequence[int] = (),
    params: Artifact | None = None,
) -> MeasureRequest:
    """The request that times one built kernel called with ``arguments``.

    ``slowest_s`` is the longest call worth waiting for, ``hopeless_s`` the longest worth repeating (0: any).
    ``outputs``: positions of arguments whose values come back. ``params``: the file with the
    values that arguments name.
    """
    return MeasureRequest(
        trial_id=trial_id,
        program=Program(
            kind=ProgramKind.KERNEL,
            library=library,
            entry="main",
            args=tuple(arguments),
            params=params,
            outputs=tuple(outputs),
        ),
        plan=plan,
        limits=replace(_limits(slowest_s, plan, _WORKSPACE_BYTES + 4 * _bytes_of(arguments)), hopeless_s=hopeless_s),
    )


def _limits(slowest_s: float, plan: TimingPlan, memory_bytes: int) -> Limits:
    """``memory_bytes`` is what the kernel may take beyond the idle runner."""
    return Limits(run_timeout_s=run_timeout_s(slowest_s, plan), memory_bytes=memory_bytes)


def run_timeout_s(slowest_s: float, plan: TimingPlan) -> float:
    """Time for one kernel's whole run on a board, were a call to take ``slowest_s``.

    A run is a warm-up call and ``repeat`` timings, each of at least ``min_repeat_ms``.
    """
    calls = 2 + plan.repeat * max(1, plan.number)
    planned = plan.repeat * (2 * plan.min_repeat_ms + plan.cooldown_ms) / 1e3
    return 2.0 + planned + 2 * calls * slowest_s


def _bytes_of(arguments: Sequence[Argument]) -> int:
    """Upper bound: no element is wider than 8 bytes."""
    return sum(8 * math.prod(argument.shape) for argument in arguments)
