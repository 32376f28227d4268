"""Stock TVM's tuning, run to its end; in a quick run once for all that need one.

Nearly all of a short one is stock TVM's start: it imports TVM in its own process, in each of its builders and in its
runner.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.machine import host_target, threads
from benchmarks.stock import StockFarm, StockProcess
from benchmarks.stock_tuning import StockOrder, measured_at

__all__ = ["QUICK_TRIALS", "check_measured", "run_stock", "run_stock_once"]

QUICK_TRIALS = 4


def run_stock(folder: Path, model: Path, trials: int, *, quick: bool = False) -> StockOrder:
    """Tune ``model`` (ONNX, or a task's module as JSON) below ``folder``.

    Raises RuntimeError when it fails or measures none of its trials.
    """
    with StockFarm(folder / "stock", threads=threads(), quick=quick) as stock:
        order = StockOrder(str(model), host_target(), stock.port, str(folder / "stock-tuning"), trials, quick)
        with StockProcess(order.arguments(), folder / "stock.log", threads()) as process:
            while not process.ended():
                time.sleep(0.05)
    check_measured(order)
    return order


def check_measured(order: StockOrder) -> None:
    """Raises RuntimeError where it has not recorded all its trials, or measured none; with what failed first."""
    if order.recorded() != order.trials:
        raise RuntimeError(f"stock TVM's database holds {order.recorded()} trials of {order.trials}")
    if not measured_at(order.folder):
        raise RuntimeError(f"stock TVM measured none of its {order.trials} trials; the first: {order.first_failure()}")


def run_stock_once(bench: Bench, model: Path) -> StockOrder:
    """The same of QUICK_TRIALS, by the first of a quick run's benchmarks that asks. All of them ask for one model."""
    folder = bench.shared or bench.folder
    at = folder / "stock-tuning"
    if (at / "ended.txt").exists():
        return StockOrder.read(at)
    kept = folder / model.name
    kept.write_bytes(model.read_bytes())
    return run_stock(folder, kept, QUICK_TRIALS, quick=True)
