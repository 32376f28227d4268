"""The modelled device: the same kernel behaves the same, everywhere and always."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import one_turn
from tvm_farm.agent.runner import LocalRequest, SyntheticModel, SyntheticRunner
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.measurement import Artifact, Limits, MeasureRequest, Outcome, Program, ProgramKind, TimingPlan


def request_of(digest: str = "d", plan: TimingPlan | None = None, limits: Limits | None = None) -> LocalRequest:
    program = Program(ProgramKind.KERNEL, Artifact(digest, 1), "main", ())
    request = MeasureRequest("t", program, plan or TimingPlan(), limits or Limits())
    return LocalRequest(request, Path("absent.so"), None)


def test_latencies_are_spread_about_the_mean_and_never_change() -> None:
    model = SyntheticModel(seed=1, mean_s=2.0)
    drawn = [model.call_s(str(n), "main") for n in range(2000)]
    assert drawn == [SyntheticModel(seed=1, mean_s=2.0).call_s(str(n), "main") for n in range(2000)]
    assert 1.0 <= min(drawn) < max(drawn) < 3.0
    assert statistics.mean(drawn) == pytest.approx(2.0, rel=0.03)
    assert model.call_s("0", "main") != model.call_s("0", "other") != SyntheticModel(seed=2).call_s("0", "main")


def test_failures_come_in_their_shares() -> None:
    model = SyntheticModel(crash_share=0.2, timeout_share=0.1)
    count = Counter(model.failure(str(n), "main") for n in range(5000))
    assert count[Outcome.CRASH] / 5000 == pytest.approx(0.2, abs=0.02)
    assert count[Outcome.RUN_TIMEOUT] / 5000 == pytest.approx(0.1, abs=0.02)


def test_repeats_differ_by_the_noise() -> None:
    model = SyntheticModel(noise=0.1)
    secs = model.run_secs("d", "main", 50)
    assert len(set(secs)) == 50
    assert all(abs(x / model.call_s("d", "main") - 1) <= 0.1 for x in secs)


@pytest.mark.parametrize(
    "options", [{"mean_s": 0.0}, {"crash_share": 1.1}, {"crash_share": 0.6, "timeout_share": 0.6}, {"noise": 1.0}]
)
def test_a_model_that_is_none(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"shares|mean_s"):
        SyntheticModel(**options)


async def test_it_sleeps_for_what_it_claims() -> None:
    runner = SyntheticRunner(SyntheticModel(mean_s=0.002))
    assert (await runner.start()).mode is RunnerMode.SYNTHETIC
    report = await runner.run(request_of(plan=TimingPlan(number=3, repeat=4, cooldown_ms=5, repeats_to_cooldown=2)))
    assert report.outcome is Outcome.OK
    assert len(report.run_secs) == 4
    assert report.finished_s - report.started_s >= 3 * sum(report.run_secs) + 2 * 0.005 - 0.002


@pytest.mark.parametrize(
    ("plan", "hopeless_s", "timings", "cut_short"),
    [
        (TimingPlan(repeat=4), 0.0, 4, False),
        (TimingPlan(repeat=4), 1.0, 4, False),
        (TimingPlan(repeat=4), 1e-4, 1, True),
        (TimingPlan(repeat=1), 1e-4, 1, False),
        (TimingPlan(repeat=1, min_repeat_ms=10_000), 1e-4, 1, True),
        (TimingPlan(repeat=4, cooldown_ms=10_000), 1e-4, 1, True),
    ],
)
async def test_a_hopeless_plan_is_cut_short(plan: TimingPlan, hopeless_s: float, timings: int, cut_short: bool) -> None:
    runner = SyntheticRunner(SyntheticModel(mean_s=0.001))
    report = await runner.run(request_of(plan=plan, limits=Limits(run_timeout_s=1.0, hopeless_s=hopeless_s)))
    assert report.outcome is Outcome.OK, report.detail
    assert (len(report.run_secs), report.cut_short) == (timings, cut_short)


@pytest.mark.parametrize(
    ("model", "outcome", "signal"),
    [
        (SyntheticModel(crash_share=1.0, mean_s=1e-3), Outcome.CRASH, 11),
        (SyntheticModel(timeout_share=1.0, mean_s=1e-3), Outcome.RUN_TIMEOUT, 0),
        (SyntheticModel(mean_s=1e3), Outcome.RUN_TIMEOUT, 0),
    ],
)
async def test_its_failures(model: SyntheticModel, outcome: Outcome, signal: int) -> None:
    report = await SyntheticRunner(model).run(request_of(limits=Limits(run_timeout_s=0.01)))
    assert (report.outcome, report.signal, report.run_secs) == (outcome, signal, ())


async def test_cancelling_ends_its_sleep() -> None:
    runner = SyntheticRunner(SyntheticModel(mean_s=1e3))
    running = asyncio.create_task(runner.run(request_of(limits=Limits(run_timeout_s=1e6))))
    await one_turn()
    await runner.cancel()
    assert (await asyncio.wait_for(running, 5)).outcome is Outcome.CANCELLED
    await runner.stop()
