"""The contract that every runner keeps: what the agent asks, and what comes back."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from pathlib import Path

from tvm_farm.protos.device import RunnerInfo
from tvm_farm.protos.measurement import MeasureRequest, Outcome, OutputTensor

__all__ = ["LocalRequest", "RunReport", "Runner", "RunnerError"]


class RunnerError(Exception):
    """The runner itself cannot work. The text is one sentence that says what to mend. Never a kernel's fault."""


@dataclass(frozen=True)
class LocalRequest:
    """One trial whose files lie on this machine."""

    request: MeasureRequest
    library: Path
    #: The parameter file; None where the program names none.
    params: Path | None = None


@dataclass(frozen=True)
class RunReport:
    """What came of one trial."""

    outcome: Outcome
    #: A clause, for people; "" with OK.
    detail: str = ""
    #: The number of the signal that ended the kernel, with CRASH; else 0.
    signal: int = 0
    #: Seconds a call, one for each repeat. Empty unless ``outcome`` is OK.
    run_secs: tuple[float, ...] = ()
    #: The tensors that the program asks for. Empty unless ``outcome`` is OK.
    outputs: tuple[OutputTensor, ...] = ()
    #: When the first call of the kernel began, loading excluded, by agent.clock; 0 where none did.
    started_s: float = 0.0
    #: When the last call ended; 0 where none began.
    finished_s: float = 0.0
    #: As Measurement's.
    cut_short: bool = False


class Runner(typing.Protocol):
    """Executes kernels one at a time; none leaves anything behind for the next. Not safe for two ``run`` at once."""

    async def start(self) -> RunnerInfo:
        """Make ready. Raises RunnerError where that is not possible."""

    async def run(self, request: LocalRequest) -> RunReport:
        """Execute one trial. A kernel's failure is an outcome; RunnerError means that no trial can run here."""

    async def offer(self, request: LocalRequest) -> None:
        """Announce a trial, which may begin when the trial at hand and those offered before have ended.

        The trial's ``run`` comes in the same order. Never fails: whatever stands in the way is met again, and told, by
        that ``run``.
        """

    async def withdraw(self, request: LocalRequest) -> None:
        """Take an ``offer`` back: the trial is not run, or is stopped, and nobody hears of it. Not offered: no
        effect."""

    async def cancel(self) -> None:
        """Stop the trial at hand: its ``run`` reports CANCELLED. Nothing at hand: no effect."""

    async def stop(self) -> None:
        """End every process of the runner. May be called again."""
