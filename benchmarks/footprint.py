"""What a board pays: memory of what runs there, and disk of what is installed there.

Memory: the agent with its runner, and stock TVM's ``rpc_server`` with its workers, each with all of its
processes; idle, once joined and after a first kernel, and the most seen while the same compiled matmul is timed
for some seconds with the same plan. RSS adds up resident sets, so that pages which processes share count
in each; PSS (Linux's proportional set size) counts them once. The tuner's side of a measurement is on
neither account.

Disk: what ``pip install --target`` puts into an empty folder, as blocks on disk: the farm's wheel with its
closure, and apache-tvm with its own, each with the versions of constraints.txt. pip and setuptools are in
neither. Stock TVM's server needs a C compiler on the board besides, which is not counted.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.machine import host_target, threads
from benchmarks.plotting import FARM, STOCK, pick
from benchmarks.result import Metric, Result
from benchmarks.results_file import quantity
from benchmarks.stock import StockFarm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmarks.matmul import Candidate

TITLE = "footprint: what a board pays for being in the farm"
IDLE_RSS, BUSY_RSS = "memory idle, RSS", "memory while measuring, RSS"
IDLE_PSS, BUSY_PSS = "memory idle, PSS", "memory while measuring, PSS"
DISK = "installed size"
METRICS = (
    Metric(IDLE_RSS, "MB", must="ratio >= 5", aim="farm <= 60"),
    Metric(BUSY_RSS, "MB", must="ratio >= 5", aim="farm <= 60"),
    Metric(IDLE_PSS, "MB"),
    Metric(BUSY_PSS, "MB"),
    Metric(DISK, "MB", must="ratio >= 8", aim="farm <= 30"),
)
_ROOT = Path(__file__).parents[1]
_MB = 1e6


@dataclass(frozen=True)
class Memory:
    """Bytes of a tree of processes."""

    rss: int
    pss: int


def run(bench: Bench) -> list[Result]:
    from benchmarks.matmul import build_candidates, matmul, sample_candidates

    with bench.step("compile a kernel"):
        proposed = sample_candidates(matmul(), host_target(), 16, quick=bench.quick)
        (kernel,) = build_candidates(proposed, host_target(), bench.folder, 1)
    seconds = 0.5 if bench.quick else 4.0
    with bench.step("memory of agent and runner"), LocalFarm(bench.folder, agents=1) as farm:
        ours = observe(farm.agents[0].pid, lambda s: measure_on_farm(farm, kernel, s), seconds)
    stock = StockFarm(bench.folder / "stock", threads=threads(), quick=bench.quick)
    with bench.step("memory of stock TVM's server"), stock:
        theirs = observe(stock.servers[0].pid, lambda s: measure_on_stock(stock, kernel, s), seconds)
    with bench.step("install the farm's base distribution"):
        our_disk = installed_bytes(bench.folder / "farm-install", [str(wheel(bench.folder))])
    with bench.step("install apache-tvm"):
        their_disk = installed_bytes(bench.folder / "stock-install", ["apache-tvm", "apache-tvm-ffi"])
    (our_idle, our_busy), (idle, busy) = ours, theirs
    return [
        bench.result(IDLE_RSS, farm=our_idle.rss / _MB, stock=idle.rss / _MB),
        bench.result(BUSY_RSS, farm=our_busy.rss / _MB, stock=busy.rss / _MB),
        bench.result(IDLE_PSS, farm=our_idle.pss / _MB, stock=idle.pss / _MB),
        bench.result(BUSY_PSS, farm=our_busy.pss / _MB, stock=busy.pss / _MB),
        bench.result(DISK, farm=our_disk / _MB, stock=their_disk / _MB),
    ]


def observe(pid: int, measure: Callable[[float], None], seconds: float) -> tuple[Memory, Memory]:
    """Idle and busy memory of ``pid`` and all below it; ``measure`` keeps it busy for about so many seconds."""
    measure(0.0)
    time.sleep(1.0)  # what the first kernel needed for a moment is given back
    idle = memory(pid)
    done = threading.Event()
    samples = []
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(measure, seconds)
        work.add_done_callback(lambda _: done.set())
        while not done.wait(0.05):
            samples.append(memory(pid))
        work.result()
    if not samples:
        raise RuntimeError("the measurement ended before its memory could be read")
    return idle, Memory(max(each.rss for each in samples), max(each.pss for each in samples))


def memory(pid: int) -> Memory:
    """Of ``pid`` and all of its descendants, those that end meanwhile left out."""
    rss = pss = 0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            full = process.memory_full_info()
            rss, pss = rss + full.rss, pss + full.pss
    return Memory(rss, pss)


def _repeats(seconds: float) -> int:
    return max(1, round(10 * seconds))


def measure_on_farm(farm: LocalFarm, kernel: Candidate, seconds: float) -> None:
    from benchmarks.matmul import request
    from tvm_farm.protos.measurement import Measurement, TimingPlan

    plan = TimingPlan(number=1, repeat=_repeats(seconds), min_repeat_ms=100)
    wanted = request(f"footprint-{seconds}", kernel.library.read_bytes(), plan)
    for answer in farm.client.measuring.measure([wanted], client="benchmark", pool=farm.devices()[0].pools[0]):
        if isinstance(answer, Measurement) and not answer.run_secs:
            raise RuntimeError(f"the farm could not time the kernel: {answer.outcome} {answer.detail}")


def measure_on_stock(stock: StockFarm, kernel: Candidate, seconds: float) -> None:
    from tvm.s_tir import meta_schedule as ms

    config = ms.runner.EvaluatorConfig(number=1, repeat=_repeats(seconds), min_repeat_ms=100)
    runner = ms.runner.RPCRunner(rpc_config=stock.rpc_config(), evaluator_config=config)
    wanted = ms.runner.RunnerInput(str(kernel.tar), device_type="cpu", args_info=list(kernel.arguments))
    (future,) = runner.run([wanted])
    if future.result().run_secs is None:
        raise RuntimeError(f"stock TVM could not time the kernel: {future.result().error_msg}")


def wheel(folder: Path) -> Path:
    """The farm's wheel, built from this checkout as ``make wheel`` does."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(folder / "dist"), str(_ROOT))
    (built,) = (folder / "dist").glob("*.whl")
    return built


def installed_bytes(folder: Path, requirements: Sequence[str]) -> int:
    """Blocks on disk of ``requirements`` and all that they need, in a new ``folder``."""
    _pip("install", "--target", str(folder), "-c", str(_ROOT / "constraints.txt"), *requirements)
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if not path.is_dir())


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"`pip {' '.join(arguments)}` failed:\n{done.stderr.strip()[-2000:]}")


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    for axes, metrics in ((left, (IDLE_RSS, BUSY_RSS, IDLE_PSS, BUSY_PSS)), (right, (DISK,))):
        for place, result in enumerate(pick(results, metric) for metric in metrics):
            assert result.stock is not None
            for offset, value, colour in ((-0.2, result.stock, STOCK), (0.2, result.farm, FARM)):
                axes.bar(place + offset, value, width=0.38, color=colour)
                axes.annotate(quantity(value, "MB"), (place + offset, value), ha="center", va="bottom", fontsize=8)
            axes.annotate(
                f"{result.ratio:.3g}x", (place + 0.2, result.farm), (0, 14), textcoords="offset points",
                ha="center", color=FARM,
            )  # fmt: skip
        labels = [metric.replace("memory ", "").replace("while ", "").replace(", ", "\n") for metric in metrics]
        axes.set_xticks(range(len(metrics)), labels)
        axes.set_ylabel("memory [MB]" if axes is left else "disk [MB]")
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(["stock", "farm"], frameon=False)
