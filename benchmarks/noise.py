"""Does a kernel's time hold while this very host compiles flat out? 60 timings of one kernel, three ways.

One kernel, a compiled candidate of a 512x512x512 float32 matmul, timed 60 times one after another with
``number=1, repeat=3, min_repeat_ms=10``, the farm's default; each timing counts as the median of its
repeats. Through each side's whole way, as in the benchmark measure:

- idle: nothing else runs, once through the farm and once through stock TVM's RPC;
- busy: the farm's builders compile candidates flat out, one builder a CPU, under SCHED_IDLE as a tuning
  worker runs them: any thread that wants the CPU, the kernel's above all, takes it from them at once;
- stock, busy: ``LocalBuilder`` compiles the same candidates flat out with its default of one worker a CPU
  while stock TVM's RPC times the kernel, as ``tune_relax`` does with the rounds of two tasks.

For each: the coefficient of variation of the 60, and the shift of their median from that of the same
side when idle. A farm whose figure is near 0 % and whose variation is that of an idle machine measures
under its own builders as it would without.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.machine import host_target, threads
from benchmarks.measure import fastest
from benchmarks.plotting import FARM, MUTED, STOCK
from benchmarks.result import Metric, Result
from benchmarks.stock import StockFarm, StockProcess

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmarks.matmul import Candidate
    from tvm_farm.tracker.tuning.building.forked import ForkedBuilders

TITLE = "noise: one kernel timed 60 times, with the host idle and with builders flat out"
IDLE = "coefficient of variation, host idle"
BUSY = "coefficient of variation, builders flat out"
SHIFT = "shift of the median under builders"
METRICS = (
    Metric(SHIFT, "%", aim="farm <= 5"),
    Metric(BUSY, "%", aim="farm <= 5"),
    Metric(IDLE, "%"),
)
TIMINGS = 60
_BUILDERS_START_S = 60.0
PLAN = {"number": 1, "repeat": 3, "min_repeat_ms": 10}


def run(bench: Bench) -> list[Result]:
    from benchmarks.matmul import build_candidates, matmul, sample_candidates
    from tvm_farm.tracker.tuning.building.forked import ForkedBuilders
    from tvm_farm.tracker.tuning.process.job_process import BUILD_TIMEOUT_S

    # Stock TVM's timings beside its builders take seconds each.
    ours, theirs = (10, 2) if bench.quick else (TIMINGS, TIMINGS)
    proposed = sample_candidates(matmul(), host_target(), 64, quick=bench.quick)
    with bench.step("compile some candidates"):
        candidates = build_candidates(proposed, host_target(), bench.folder, 2 if bench.quick else 32)
    modules = [candidate.module for candidate in candidates]
    # Before there is a gRPC channel: it forks. Until candidates come, it waits for them.
    pool = ForkedBuilders(threads(), BUILD_TIMEOUT_S)
    try:
        (kernel,) = fastest(bench.folder / "choosing", candidates, 1)
        with LocalFarm(bench.folder, agents=1) as farm:
            with bench.step("farm, host idle"):
                farm_idle = time_farm(farm, kernel, ours)
            with bench.step("farm, its builders flat out"), compiling(pool, modules) as builders_s:
                farm_busy = timed_beside(builders_s, lambda: time_farm(farm, kernel, ours))
    finally:
        pool.close()
    with StockFarm(bench.folder / "stock", threads=threads(), quick=bench.quick) as stock:
        with bench.step("stock TVM, host idle"):
            stock_idle = time_stock(stock, kernel, theirs)
        compiling_theirs = compiling_stock(bench.folder, modules, quick=bench.quick)
        with bench.step("stock TVM, its builders flat out"), compiling_theirs as stock_builders_s:
            stock_busy = timed_beside(stock_builders_s, lambda: time_stock(stock, kernel, theirs))
    bench.series.update(
        farm_idle=farm_idle,
        farm_busy=farm_busy,
        stock_idle=stock_idle,
        stock_busy=stock_busy,
        builder_cpu_s={"farm": builders_s(), "stock": stock_builders_s()},
    )
    return [
        bench.result(SHIFT, farm=shift(farm_idle, farm_busy), stock=shift(stock_idle, stock_busy)),
        bench.result(BUSY, farm=variation(farm_busy), stock=variation(stock_busy)),
        bench.result(IDLE, farm=variation(farm_idle), stock=variation(stock_idle)),
    ]


def variation(seconds: Sequence[float]) -> float:
    """Coefficient of variation in percent."""
    return 100 * statistics.stdev(seconds) / statistics.fmean(seconds)


def shift(idle: Sequence[float], busy: Sequence[float]) -> float:
    """By how many percent the median moved, either way."""
    return 100 * abs(statistics.median(busy) / statistics.median(idle) - 1)


def timed_beside(builders_s: Callable[[], float], timings: Callable[[], list[float]]) -> list[float]:
    """``timings`` taken while builders ran: again until ``builders_s`` says that they have used CPU time.

    On a host with other work the farm's builders, which give way to all of it, can go without any for seconds.
    Raises RuntimeError where they have used none after a minute.
    """
    deadline_s = time.monotonic() + _BUILDERS_START_S
    seconds = timings()
    while builders_s() <= 0:
        if time.monotonic() > deadline_s:
            raise RuntimeError("no builder ran in a minute while the kernel was timed: that is no busy host")
        seconds += timings()
    return seconds


def time_farm(farm: LocalFarm, kernel: Candidate, count: int) -> list[float]:
    """Seconds a call of ``count`` timings. Raises RuntimeError when one fails."""
    from benchmarks.matmul import request
    from tvm_farm.protos.measurement import Measurement, TimingPlan

    library, pool = kernel.library.read_bytes(), farm.devices()[0].pools[0]
    requests = [request(uuid.uuid4().hex, library, TimingPlan(**PLAN)) for _ in range(count)]
    seconds = []
    for answer in farm.client.measuring.measure(requests, client="benchmark", pool=pool):
        if isinstance(answer, Measurement):
            if not answer.run_secs:
                raise RuntimeError(f"the farm could not time the kernel: {answer.outcome} {answer.detail}")
            seconds.append(statistics.median(answer.run_secs))
    return seconds


def time_stock(stock: StockFarm, kernel: Candidate, count: int) -> list[float]:
    """The same through RPCRunner."""
    from tvm.s_tir import meta_schedule as ms

    runner = ms.runner.RPCRunner(rpc_config=stock.rpc_config(), evaluator_config=ms.runner.EvaluatorConfig(**PLAN))
    same = ms.runner.RunnerInput(str(kernel.tar), device_type="cpu", args_info=list(kernel.arguments))
    results = [future.result() for future in runner.run([same] * count)]
    failed = [result.error_msg for result in results if result.run_secs is None]
    if failed:
        raise RuntimeError(f"stock TVM could not time the kernel: {failed[0]}")
    return [statistics.median(float(seconds) for seconds in result.run_secs) for result in results]


@contextmanager
def compiling(pool: ForkedBuilders, modules: Sequence[str]) -> Iterator[Callable[[], float]]:
    """The farm's builders at work on ``modules``, again and again; yields what CPU seconds they have used."""
    from tvm_farm.tracker.tuning.building.base import BuildersEnded, BuildRequest

    (parent,) = multiprocessing.active_children()
    rounds = itertools.count()
    begun = threading.Event()

    def refill(event: object = None) -> None:
        if isinstance(event, BuildersEnded):
            return
        if event is not None:
            begun.set()
        pool.submit(BuildRequest(str(next(rounds)), random.choice(modules), host_target()))

    pool.deliver_to(refill)
    for _ in range(4 * threads()):
        refill()
    if not begun.wait(180):
        raise RuntimeError("the farm's builders built nothing in 3 minutes")
    with _cpu_s(psutil.Process(parent.pid)) as used:
        yield used


@contextmanager
def compiling_stock(folder: Path, modules: Sequence[str], *, quick: bool) -> Iterator[Callable[[], float]]:
    """The same by stock TVM's LocalBuilder, from the end of its first batch on."""
    work = folder / "stock-building"
    work.mkdir()
    order = work / "order.json"
    order.write_text(json.dumps({"target": host_target(), "modules": list(modules), "quick": quick}), encoding="utf-8")
    with StockProcess(["-m", "benchmarks.stock_building", str(order)], work / "log.txt", threads()) as process:
        deadline_s = time.monotonic() + 180
        while not (work / "first-batch.txt").exists():
            process.ended()
            if time.monotonic() > deadline_s:
                raise RuntimeError("stock TVM's builder built no batch in 3 minutes")
            time.sleep(0.1)
        with _cpu_s(psutil.Process(process.pid)) as used:
            yield used


@contextmanager
def _cpu_s(root: psutil.Process) -> Iterator[Callable[[], float]]:
    """Yields a function: CPU seconds that all descendants of ``root`` have used since; it stands still at the end."""
    seen: dict[int, float] = {}

    def total() -> float:
        for process in root.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                seen[process.pid] = times.user + times.system
        return sum(seen.values())

    before_s, after_s = total(), None

    def used() -> float:
        return (total() if after_s is None else after_s) - before_s

    yield used
    after_s = total()


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    top_ms = 1e3 * max(max(series[f"{side}_{host}"]) for side in ("stock", "farm") for host in ("idle", "busy"))
    for axes, side, colour in ((left, "stock", STOCK), (right, "farm", FARM)):
        for host, dot in (("busy", colour), ("idle", MUTED)):
            seconds = series[f"{side}_{host}"]
            words = (
                f"{'builders flat out' if host == 'busy' else 'host idle'}: {1e3 * statistics.median(seconds):.2f} ms"
            )
            label = f"{words}, varies by {variation(seconds):.1f} %"
            axes.plot([1e3 * s for s in seconds], "o", markersize=3, color=dot, label=label)
        axes.set_title(
            f"{side}: median moves by {shift(series[f'{side}_idle'], series[f'{side}_busy']):.1f} %", fontsize=10
        )
        axes.set_xlabel("timing")
        axes.set_ylim(0, 1.3 * top_ms)
        axes.legend(frameon=False, fontsize=8, loc="upper left")
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("time of the kernel [ms]")
