"""A runner that runs nothing: a deterministic model of a device, for tests and load."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace

from tvm_farm.agent.clock import steady_unix_s
from tvm_farm.agent.runner.contract import LocalRequest, RunnerError, RunReport
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.protos.measurement import Outcome

__all__ = ["SyntheticModel", "SyntheticRunner"]

_SEGMENTATION_FAULT = 11


@dataclass(frozen=True)
class SyntheticModel:
    """Latency and failures as a function of (``seed``, library digest, entry).

    A kernel's seconds a call lie in [0.5, 1.5) x ``mean_s``; the repeats of one trial differ by up to
    ``noise`` of that. ``crash_share`` and ``timeout_share`` of all kernels crash or hang, always the same ones.
    """

    seed: int = 0
    mean_s: float = 0.01
    noise: float = 0.02
    crash_share: float = 0.0
    timeout_share: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.crash_share, self.timeout_share, self.crash_share + self.timeout_share)
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise ValueError(f"shares of failures lie in 0..1 and sum to at most 1: {self}")
        if self.mean_s <= 0.0 or not 0.0 <= self.noise < 1.0:
            raise ValueError(f"mean_s is above 0 and noise in 0..1: {self}")

    def call_s(self, digest: str, entry: str) -> float:
        return self.mean_s * (0.5 + self._uniform(digest, entry, "latency"))

    def failure(self, digest: str, entry: str) -> Outcome | None:
        drawn = self._uniform(digest, entry, "failure")
        if drawn < self.crash_share:
            return Outcome.CRASH
        if drawn < self.crash_share + self.timeout_share:
            return Outcome.RUN_TIMEOUT
        return None

    def run_secs(self, digest: str, entry: str, repeat: int) -> tuple[float, ...]:
        call_s = self.call_s(digest, entry)
        return tuple(
            call_s * (1.0 + self.noise * (2.0 * self._uniform(digest, entry, f"repeat {index}") - 1.0))
            for index in range(repeat)
        )

    def _uniform(self, *of: str) -> float:
        text = "\0".join((str(self.seed), *of))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "little") / 2.0**56


class SyntheticRunner:
    """Sleeps for the time that its model claims, calls and cool-downs included. See Runner.

    A first call takes no time of its own, and so never ends a plan early; a slow timing does.
    """

    def __init__(self, model: SyntheticModel | None = None) -> None:
        self._model = model or SyntheticModel()
        self._cancelled: asyncio.Event | None = None

    async def start(self) -> RunnerInfo:
        return RunnerInfo(mode=RunnerMode.SYNTHETIC, threads=1, target_kinds=("llvm",))

    async def run(self, request: LocalRequest) -> RunReport:
        if self._cancelled is not None:
            raise RunnerError("a synthetic runner was asked for two trials at once")
        program, plan, limits = request.request.program, request.request.plan, request.request.limits
        digest, entry = program.library.digest, program.entry
        failure = self._model.failure(digest, entry)
        run_secs = self._model.run_secs(digest, entry, plan.repeat)
        calls = [max(secs * plan.number, plan.min_repeat_ms / 1e3) for secs in run_secs]
        cooldowns = -(-plan.repeat // plan.repeats_to_cooldown)
        cut_short = False
        hopeless = next((i for i, secs in enumerate(run_secs) if 0 < limits.hopeless_s < secs), plan.repeat)
        if hopeless + 1 < plan.repeat or sum(calls[hopeless:]) > sum(run_secs[hopeless:]) * plan.number:
            cut_short = True
            run_secs = run_secs[: hopeless + 1]
            calls = [*calls[:hopeless], run_secs[hopeless] * plan.number]
            cooldowns = -(-hopeless // plan.repeats_to_cooldown)
        spent_s = sum(calls) + cooldowns * plan.cooldown_ms / 1e3
        if failure is Outcome.CRASH:
            spent_s = run_secs[0]
        elif failure is Outcome.RUN_TIMEOUT or spent_s > limits.run_timeout_s:
            failure, spent_s = Outcome.RUN_TIMEOUT, limits.run_timeout_s

        started_s = steady_unix_s()
        cancelled = await self._sleep(spent_s)
        report = RunReport(Outcome.OK, started_s=started_s, finished_s=steady_unix_s())
        if cancelled:
            return replace(report, outcome=Outcome.CANCELLED, detail="stopped on request")
        if failure is Outcome.CRASH:
            return replace(report, outcome=failure, detail="synthetic crash", signal=_SEGMENTATION_FAULT)
        if failure is Outcome.RUN_TIMEOUT:
            detail = f"synthetic: still running after its limit of {limits.run_timeout_s:g} s"
            return replace(report, outcome=failure, detail=detail)
        return replace(report, run_secs=run_secs, cut_short=cut_short)

    async def _sleep(self, seconds: float) -> bool:
        self._cancelled = asyncio.Event()
        try:
            await asyncio.wait_for(self._cancelled.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        finally:
            self._cancelled = None
        return True

    async def offer(self, request: LocalRequest) -> None:
        """Nothing to make ready."""

    async def withdraw(self, request: LocalRequest) -> None:
        """Nothing was made ready."""

    async def cancel(self) -> None:
        if self._cancelled is not None:
            self._cancelled.set()

    async def stop(self) -> None:
        await self.cancel()
