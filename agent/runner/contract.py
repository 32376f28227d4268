"""What the agent asks of a runner and what comes back, and the contract that every runner keeps."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from pathlib import Path

from tvm_farm.protos.device import RunnerInfo
from tvm_farm.protos.measurement import MeasureRequest, Outcome, OutputTensor

__all__ = ["LocalRequest", "RunReport", "Runner", "RunnerError"]


class RunnerError(Exception):
    """The runner itself cannot work: one sentence that says what to mend. Never a kernel's fault."""


@dataclass(frozen=True)
class LocalRequest:
    """One trial whose files lie on this machine: ``params`` only where its program names some."""

    request: MeasureRequest
    library: Path
    params: Path | None = None


@dataclass(frozen=True)
class RunReport:
    """What came of one trial.

    ``run_secs`` holds seconds a call, one a repeat, and like ``outputs`` is empty unless ``outcome`` is OK.
    ``cut_short`` is Measurement's.
    ``started_s`` and ``finished_s`` are around the calls of the kernel, loading excluded, by agent.clock; 0 where it
    never began. ``signal`` belongs to CRASH.
    """

    outcome: Outcome
    detail: str = ""
    signal: int = 0
    run_secs: tuple[float, ...] = ()
    outputs: tuple[OutputTensor, ...] = ()
    started_s: float = 0.0
    finished_s: float = 0.0
    cut_short: bool = False


class Runner(typing.Protocol):
    """Executes kernels one at a time, each apart from the next. Not safe for two ``run`` at once."""

    async def start(self) -> RunnerInfo:
        """Make ready. Raises RunnerError when it cannot."""

    async def run(self, request: LocalRequest) -> RunReport:
        """Execute one trial. Its failures are outcomes; RunnerError means that no trial can run here."""

    async def offer(self, request: LocalRequest) -> None:
        """Tell of a trial whose ``run`` comes after that of the one at hand and of those offered before: it may
        begin at their end.

        Never fails: whatever stands in its way is met again, and told, by its ``run``.
        """

    async def withdraw(self, request: LocalRequest) -> None:
        """Take an ``offer`` back: it is not run, or is stopped, and nobody hears of it. Not offered: no effect."""

    async def cancel(self) -> None:
        """Stop the trial at hand, whose ``run`` then reports CANCELLED. Nothing at hand: no effect."""

    async def stop(self) -> None:
        """End every process that belongs to it. May be called again."""
