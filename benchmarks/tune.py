"""Trials a second of one task: a 512x512x512 float32 matmul, tuner and device on this machine.

Both tune the same tensor program: the one task that the farm finds in an ONNX model of one MatMul.

- stock: ``tune_tir`` with its defaults through RPC tracker and server (stock_tuning.py lists them), TVM
  imported beforehand; from reading the task to its return.
- farm: a job on that model with the same number of trials and the same timing plan (number=3, repeat=1,
  min_repeat_ms=100; a candidate 15 % behind the best is cut short), on a tracker whose tuning worker is
  warm; from the moment that the worker has the job until the last trial's record is stored. That includes
  importing the model, which stock TVM's side does not have; it leaves out what comes after tuning:
  measuring the winners again, packaging and verifying.

Both run kernels on the same threads, and count every candidate that was proposed, failures too.

Two more figures are the farm's alone: the rate under its own default plan (less time on the device, so
no ratio), and what its warm builders sustain on that run's own candidates when nothing else runs: the
share of it that tuning reached says what search, measuring and waiting cost.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.machine import host_target, threads
from benchmarks.plotting import FARM, MUTED, STOCK, pick
from benchmarks.result import Metric, Result
from benchmarks.results_file import quantity

if TYPE_CHECKING:
    import tvm
    from matplotlib.figure import Figure

    from tvm_farm.protos.measurement import TimingPlan
    from tvm_farm.tracker.domain import Record
    from tvm_farm.tracker.tuning.building.forked import ForkedBuilders

TITLE = "tune: trials a second, one 512³ matmul, tuner and device on one machine"
SAME_PLAN = "trials a second, stock's timing plan"
OWN_PLAN = "trials a second, the farm's default plan"
BUILDERS = "candidates a second, warm builders alone"
SHARE = "share of the builders' rate that tuning reached"
METRICS = (
    Metric(SAME_PLAN, "/s", lower_is_better=False, must="ratio >= 6"),
    Metric(OWN_PLAN, "/s", lower_is_better=False),
    Metric(BUILDERS, "/s", lower_is_better=False),
    Metric(SHARE, "", lower_is_better=False, aim="farm >= 0.85"),
)


def run(bench: Bench) -> list[Result]:
    from benchmarks.matmul import onnx_matmul, task_module
    from benchmarks.stock_runs import QUICK_TRIALS
    from tvm_farm.protos.measurement import TimingPlan
    from tvm_farm.tracker.tuning.building.forked import ForkedBuilders
    from tvm_farm.tracker.tuning.process.job_process import BUILD_TIMEOUT_S

    trials = QUICK_TRIALS if bench.quick else 128
    model = bench.folder / "matmul.onnx"
    onnx_matmul(model, weight=bench.quick)
    module = task_module(model)
    # Before there is a gRPC channel: it forks. Until candidates come, it waits for them.
    pool = ForkedBuilders(threads(), BUILD_TIMEOUT_S)
    try:
        with LocalFarm(bench.folder, workers=1) as farm:
            with bench.step("a tuning worker loads TVM"):
                farm.workers_ready()
            with bench.step(f"{trials} trials on the farm, stock's plan"):
                same_plan = tune_farm(farm, model, trials, TimingPlan(number=3, repeat=1, min_repeat_ms=100))
            with bench.step(f"{trials} trials on the farm, its own plan"):
                own_plan = tune_farm(farm, model, trials, None)
        with bench.step("the same candidates, builders alone"):
            builders = build_alone(own_plan["records"], module, pool)
    finally:
        pool.close()
    with bench.step(f"{trials} trials with stock TVM"):
        stock = tune_stock(bench, model, module, trials)
    for side in (same_plan, own_plan):
        del side["records"]
    bench.series.update(stock=stock, same_plan=same_plan, own_plan=own_plan, builders=builders)
    rates = {side: each["trials"] / each["seconds"] for side, each in bench.series.items()}
    return [
        bench.result(SAME_PLAN, farm=rates["same_plan"], stock=rates["stock"]),
        bench.result(OWN_PLAN, farm=rates["own_plan"]),
        bench.result(BUILDERS, farm=rates["builders"]),
        bench.result(SHARE, farm=rates["own_plan"] / rates["builders"]),
    ]


def tune_farm(farm: LocalFarm, model: Path, trials: int, plan: TimingPlan | None) -> dict[str, Any]:
    """One job: its trials, the seconds they took, their records. Raises RuntimeError when it fails."""
    from tvm_farm.tracker.domain import JobKind, JobSpec, JobState, RecordFilter

    spec = JobSpec(
        kind=JobKind.TUNE,
        model_name="matmul",
        model=farm.client.artifacts.put(model),
        pool=farm.devices()[0].pools[0],
        max_trials=trials,
        plan=plan,
        fresh=True,  # another round is no answer from the log
    )
    job = farm.client.jobs.submit(spec, uuid.uuid4().hex)
    for latest in farm.client.jobs.watch(job.id):
        job = latest
    if job.state is not JobState.DONE:
        raise RuntimeError(f"the farm's job {job.id} is {job.state.value}: {job.error}")
    stored = list(farm.client.log.records(RecordFilter(job_id=job.id)))
    records = [record for record in stored if not record.is_baseline]
    if len(records) != trials:
        raise RuntimeError(f"the farm's job {job.id} recorded {len(records)} trials of {trials}")
    ended_s = max(record.measurement.timeline.stored_s for record in records)
    begun_s = job.started_unix_s
    best_s = min(min(record.measurement.run_secs, default=1e9) for record in records)
    return {"trials": trials, "seconds": ended_s - begun_s, "best_ms": 1e3 * best_s, "records": records}


def build_alone(records: Sequence[Record], module: tvm.ir.IRModule, pool: ForkedBuilders) -> dict[str, Any]:
    """Build the candidates of ``records`` with warm builders, and nothing beside them."""
    import tvm

    from tvm_farm.tracker.tuning.building.base import BuildRequest
    from tvm_farm.tracker.tuning.building.builder import for_schedules
    from tvm_farm.tracker.tuning.engines.space import apply_trace

    built: queue.SimpleQueue[Any] = queue.SimpleQueue()
    pool.deliver_to(built.put)
    modules = [str(tvm.ir.save_json(apply_trace(module, record.trace).mod)) for record in records]
    target = for_schedules(host_target())
    begun_s = time.perf_counter()
    for number, scheduled in enumerate(modules):
        pool.submit(BuildRequest(str(number), scheduled, target))
    for _ in modules:
        built.get(timeout=120)
    return {"trials": len(modules), "seconds": time.perf_counter() - begun_s}


def tune_stock(bench: Bench, model: Path, module: tvm.ir.IRModule, trials: int) -> dict[str, Any]:
    """``tune_tir`` in a process of its own: its trials and seconds. Raises RuntimeError when it fails.

    In a quick run ``tune_relax`` on the model, which other benchmarks need too.
    """
    import tvm

    from benchmarks.stock_runs import run_stock, run_stock_once

    if bench.quick:
        order = run_stock_once(bench, model)
    else:
        task = bench.folder / "matmul.json"
        task.write_text(str(tvm.ir.save_json(module)), encoding="utf-8")
        order = run_stock(bench.folder, task, trials)
    return {"trials": order.recorded(), "seconds": order.seconds()}


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    same, own, builders = pick(results, SAME_PLAN), pick(results, OWN_PLAN), pick(results, BUILDERS)
    assert same.stock is not None
    bars = [
        ("farm's builders alone", builders.farm, MUTED),
        ("farm, its own plan", own.farm, FARM),
        ("farm, stock's plan", same.farm, FARM),
        ("stock", same.stock, STOCK),
    ]
    axes = figure.subplots()
    for place, (name, value, colour) in enumerate(bars):
        note = {"farm, stock's plan": f"   {same.ratio:.3g}x", "farm, its own plan": "   other timing plan: no ratio"}
        axes.barh(place, value, color=colour, height=0.6)
        axes.annotate(f" {quantity(value, '/s')}{note.get(name, '')}", (value, place), va="center")
    axes.set_yticks(range(len(bars)), [name for name, _, _ in bars])
    axes.set_xlim(0, 1.35 * max(value for _, value, _ in bars))
    axes.set_xlabel("trials a second")
    axes.spines[["top", "right"]].set_visible(False)
