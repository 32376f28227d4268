"""How much of each board's time is spent executing, and what the tracker pays, as boards are added.

Two questions, each with its own boards:

- Against stock TVM: one to some real boards of each side on this machine, native runners on the farm, RPC
  servers on stock's tracker, the same object code of a kernel that waits 100 ms in ``usleep`` (so that many
  boards share two cores without taking them from each other), ``number=1, repeat=1``. Both sides execute the
  function twice a trial, TVM's evaluator warming up; *executing* is twice what they report. Stock's
  ``RPCRunner`` measures on one board at a time unless told otherwise: here it is given as many workers as
  there are servers.
- Alone: agents with synthetic runners, the agent's own code, in two processes; a trial executes for 100 or
  10 ms by the board's clock. Trials are a tuning job's, recorded. Utilisation: executing seconds over boards
  times wall seconds, from the tenth of the run at which all are busy to its end. The two processes with
  64 agents take about a core, which at 256 boards or 10 ms kernels is this machine's limit, not the tracker's.

Each trial is answered once and stands in the store once, or the run fails.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.bench import Bench
from benchmarks.board_processes import board_processes
from benchmarks.farm import LocalFarm
from benchmarks.plotting import FARM, MUTED, STOCK
from benchmarks.result import Metric, Result
from benchmarks.trial_load import Answered, check_store, trial_load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmarks.matmul import Candidate

__all__ = ["METRICS", "TITLE", "plot", "run"]

TITLE = "boards: share of their time spent executing"
_WAIT_MS = 100
_SIZES = (1, 4, 16, 64, 256)
_STOCK_SIZES = (1, 4, 8)
_SHORT_SIZES = (1, 16, 64)


def _real(boards: int) -> str:
    return f"utilisation, {boards} real boards, {_WAIT_MS} ms"


def _share(boards: int, kernel_ms: int) -> str:
    return f"utilisation, {boards} synthetic boards, {kernel_ms} ms"


def _rate(boards: int, kernel_ms: int) -> str:
    return f"measurements a second, {boards} synthetic boards, {kernel_ms} ms"


CPU = "tracker CPU, 64 synthetic boards, 100 ms"
METRICS = (
    *(Metric(_real(n), "%", lower_is_better=False) for n in _STOCK_SIZES),
    *(
        Metric(_share(n, 100), "%", lower_is_better=False, must="farm >= 95" if n == 64 else None, aim="farm >= 95")
        for n in _SIZES
    ),
    *(Metric(_rate(n, 100), "1/s", lower_is_better=False) for n in _SIZES),
    *(Metric(_share(n, 10), "%", lower_is_better=False) for n in _SHORT_SIZES),
    *(Metric(_rate(n, 10), "1/s", lower_is_better=False) for n in _SHORT_SIZES),
    Metric(CPU, "cores", must="farm < 1"),
)


@dataclass(frozen=True)
class Busy:
    """What came of one run: shares of 1, and cores."""

    boards: int
    kernel_ms: int
    utilisation: float
    rate: float
    tracker_cores: float


def run(bench: Bench) -> list[Result]:
    results = _against_stock(bench, (1,) if bench.quick else _STOCK_SIZES)
    seconds = 1.0 if bench.quick else 12.0
    runs = []
    for boards, kernel_ms in _runs(bench.quick):
        with bench.step(f"{boards} synthetic boards, kernels of {kernel_ms} ms"):
            busy = asyncio.run(_synthetic(_folder(bench, f"{boards}-{kernel_ms}"), boards, kernel_ms, seconds))
        runs.append(busy)
        results.append(bench.result(_share(boards, kernel_ms), farm=100 * busy.utilisation))
        results.append(bench.result(_rate(boards, kernel_ms), farm=busy.rate))
        if (boards, kernel_ms) == (64, 100):
            results.append(bench.result(CPU, farm=busy.tracker_cores))
    bench.series["synthetic"] = [asdict(busy) for busy in runs]
    return results


def _runs(quick: bool) -> list[tuple[int, int]]:
    if quick:
        return [(64, 100), (16, 10)]
    return [*((n, 100) for n in _SIZES), *((n, 10) for n in _SHORT_SIZES)]


async def _synthetic(folder: Path, boards: int, kernel_ms: int, seconds: float) -> Busy:
    with (
        LocalFarm(folder, agents=0) as farm,
        board_processes("benchmarks.agent_processes", farm.address, boards, str(folder), processes=2),
    ):
        tracker = psutil.Process(farm.tracker.pid)
        async with trial_load(farm.address, "synthetic") as load:
            # Short kernels are prefetched deeper.
            outstanding = boards * (4 if kernel_ms >= 50 else 16)
            await load.keep(outstanding, kernel_ms / 1e3, time.monotonic() + max(1.0, seconds / 10))
            cpu_s, begun, begun_s = sum(tracker.cpu_times()[:2]), len(load.answers), time.time()
            await load.keep(outstanding, kernel_ms / 1e3, time.monotonic() + seconds)
            cpu_s, done, ended_s = sum(tracker.cpu_times()[:2]) - cpu_s, len(load.answers) - begun, time.time()
            await load.settle()
            answers = list(load.answers.values())
    check_store(folder / "tracker", len(answers))
    wall_s = ended_s - begun_s
    return Busy(
        boards, kernel_ms, executing_s(answers, begun_s, ended_s) / (boards * wall_s), done / wall_s, cpu_s / wall_s
    )


def executing_s(answers: Sequence[Answered], begun_s: float, ended_s: float) -> float:
    """Seconds between ``begun_s`` and ``ended_s`` in which boards executed, all boards together."""
    return sum(max(0.0, min(each.finished_s, ended_s) - max(each.started_s, begun_s)) for each in answers)


def _against_stock(bench: Bench, sizes: Sequence[int]) -> list[Result]:
    from benchmarks.sleeping_kernel import sleeping_kernel
    from benchmarks.stock import StockFarm

    kernel = sleeping_kernel(bench.folder, _WAIT_MS)
    results = []
    rows = bench.series.setdefault("real", [])
    for boards in sizes:
        trials = boards * (10 if bench.quick else 40)
        with (
            bench.step(f"{boards} real boards on the farm"),
            LocalFarm(_folder(bench, f"farm{boards}"), agents=boards) as farm,
        ):
            ours = _on_farm(farm, kernel, trials) / boards
        with (
            bench.step(f"{boards} real boards on stock TVM's tracker"),
            StockFarm(_folder(bench, f"stock{boards}"), threads=1, quick=bench.quick, servers=boards) as stock,
        ):
            theirs = _on_stock(stock, kernel, trials, boards) / boards
        rows.append({"boards": boards, "farm": ours, "stock": theirs})
        results.append(bench.result(_real(boards), farm=100 * ours, stock=100 * theirs))
    return results


def _folder(bench: Bench, name: str) -> Path:
    folder = bench.folder / name
    folder.mkdir()
    return folder


def _on_farm(farm: LocalFarm, kernel: Candidate, trials: int) -> float:
    """Boards' worth of executing: seconds that kernels ran over wall seconds. The first trials only warm up."""
    from tvm_farm.protos.measurement import (
        Argument,
        Artifact,
        Limits,
        Measurement,
        MeasureRequest,
        Program,
        ProgramKind,
        TimingPlan,
    )

    pool, code = farm.devices()[0].pools[0], kernel.library.read_bytes()
    artifact = Artifact(hashlib.sha256(code).hexdigest(), len(code), code)
    arguments = tuple(Argument((1,), "float32", fill_seed=seed) for seed in range(len(kernel.arguments)))
    program = Program(ProgramKind.KERNEL, artifact, "main", arguments)
    share = 0.0
    for count in (2 * len(farm.agents), trials):
        requests = [MeasureRequest(uuid.uuid4().hex, program, TimingPlan(), Limits()) for _ in range(count)]
        run_s = 0.0
        begun_s = time.perf_counter()
        for answer in farm.client.measuring.measure(requests, client="benchmark", pool=pool):
            if isinstance(answer, Measurement):
                if not answer.run_secs:
                    raise RuntimeError(f"the farm could not measure: {answer.outcome} {answer.detail}")
                run_s += 2 * answer.run_secs[0]
        share = run_s / (time.perf_counter() - begun_s)
    return share


def _on_stock(stock: Any, kernel: Candidate, trials: int, workers: int) -> float:
    """The same through RPCRunner."""
    from tvm.s_tir import meta_schedule as ms

    runner = ms.runner.RPCRunner(
        rpc_config=stock.rpc_config(),
        evaluator_config=ms.runner.EvaluatorConfig(number=1, repeat=1, min_repeat_ms=0),
        max_workers=workers,
    )
    share = 0.0
    for count in (2 * workers, trials):
        inputs = [ms.runner.RunnerInput(str(kernel.tar), "cpu", list(kernel.arguments)) for _ in range(count)]
        begun_s = time.perf_counter()
        results = [future.result() for future in runner.run(inputs)]
        wall_s = time.perf_counter() - begun_s
        failed = [result.error_msg for result in results if result.run_secs is None]
        if failed:
            raise RuntimeError(f"stock TVM could not measure {len(failed)} of {count}, the first: {failed[0]}")
        share = 2 * sum(float(result.run_secs[0]) for result in results) / wall_s
    return share


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    axes = figure.subplots()
    for kernel_ms, colour in ((100, FARM), (10, MUTED)):
        rows = [row for row in series["synthetic"] if row["kernel_ms"] == kernel_ms]
        shares = [100 * row["utilisation"] for row in rows]
        axes.plot([row["boards"] for row in rows], shares, "o-", color=colour, label=f"farm, {kernel_ms} ms, synthetic")
    for side, colour in (("farm", FARM), ("stock", STOCK)):
        real = series["real"]
        shares = [100 * row[side] for row in real]
        axes.plot([row["boards"] for row in real], shares, "s--", color=colour, label=f"{side}, 100 ms, real")
    axes.set_xscale("log", base=2)
    axes.set_ylim(0, 105)
    axes.set_xlabel("boards")
    axes.set_ylabel("time spent executing [%]")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
