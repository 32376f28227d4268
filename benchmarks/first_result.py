"""From pressing return to the first measured candidate: light SqueezeNet with seeded random weights.

- farm: ``farm tune MODEL`` as a process, on a tracker with an agent and a tuning worker that has TVM loaded;
  from its start until the first candidate's record is stored. A task's untuned baseline is none.
- stock: a Python script that imports TVM, reads the model and calls ``tune_relax`` with its defaults
  (stock_tuning.py lists them), on an RPC tracker with a server; from its start until its runner has
  measured its first candidate, long before the database holds it. It has no way to keep a tuner warm:
  importing TVM is part of what a person waits for.

Nothing of the model is known on either side: the farm's store and the database are new. Both are then stopped.
A quick run takes a model of one MatMul, and of stock TVM the tuning that its other benchmarks took.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.machine import host_target, threads
from benchmarks.plotting import pair, pick
from benchmarks.result import Metric, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "first result: from the command to the first measured candidate of SqueezeNet"
FIRST = "time to the first measured candidate"
METRICS = (Metric(FIRST, "s", must="farm <= 8", aim="farm <= 4"),)
_LIMIT_S = 200.0


def run(bench: Bench) -> list[Result]:
    model = bench.folder / "model.onnx"
    if bench.quick:
        from benchmarks.matmul import onnx_matmul

        onnx_matmul(model, weight=True)
    else:
        # Not in this process: numpy and onnx are nothing that the farm's command would have loaded.
        light = [sys.executable, "-m", "tvm_farm.tracker.tuning.models.light", "light_squeezenet", str(model)]
        subprocess.run(light, check=True, cwd=Path(__file__).parents[1])
    with LocalFarm(bench.folder, workers=1) as farm:
        with bench.step("a tuning worker loads TVM"):
            farm.workers_ready()
        with bench.step("farm tune"):
            farm_s = first_on_farm(farm, model)
    with bench.step("tune_relax"):
        stock_s = first_on_stock_once(bench, model) if bench.quick else first_on_stock(bench.folder, model)
    return [bench.result(FIRST, farm=farm_s, stock=stock_s)]


def first_on_farm(farm: LocalFarm, model: Path) -> float:
    from tvm_farm.tracker.domain import RecordFilter

    pool = farm.devices()[0].pools[0]
    command = farm.command("tune", str(model), "--pool", pool, "--budget", "60s", "-o", str(farm.folder / "package"))
    begun_s, deadline_s = time.time(), time.monotonic() + _LIMIT_S
    with (farm.folder / "tune.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=farm.folder)
    try:
        while time.monotonic() < deadline_s:
            if process.poll() is not None:
                raise RuntimeError(
                    f"`farm tune` ended before it measured anything: {log_end(farm.folder / 'tune.log')}"
                )
            # Twice a second: the record itself says when it was stored.
            time.sleep(0.5)
            candidates = [
                record.measurement
                for record in farm.client.log.records(RecordFilter(engine="ansor"))
                if record.measurement.run_secs
            ]
            if candidates:
                return min(measured.timeline.stored_s for measured in candidates) - begun_s
        raise RuntimeError(f"`farm tune` measured no candidate in {_LIMIT_S:.0f} s")
    finally:
        process.kill()
        process.wait()
        for job in farm.client.jobs.list():
            if not job.state.final:
                farm.client.jobs.cancel(job.id)


def first_on_stock_once(bench: Bench, model: Path) -> float:
    """The same of the one tuning that the benchmarks of a quick run share."""
    from benchmarks.stock_runs import run_stock_once
    from benchmarks.stock_tuning import measured_at

    order = run_stock_once(bench, model)
    return measured_at(order.folder)[0][0] - (order.stamp("started") or 0.0)


def first_on_stock(folder: Path, model: Path) -> float:
    from benchmarks.stock import StockFarm, StockProcess
    from benchmarks.stock_tuning import StockOrder, measured_at

    with StockFarm(folder / "stock", threads=threads(), quick=False) as stock:
        order = StockOrder(str(model), host_target(), stock.port, str(folder / "stock-tuning"), 64)
        arguments = order.arguments()
        begun_s = time.time()
        with StockProcess(arguments, folder / "stock.log", threads()) as process:
            while time.time() < begun_s + _LIMIT_S:
                process.ended()
                if measured := measured_at(order.folder):
                    return measured[0][0] - begun_s
                time.sleep(0.05)
    raise RuntimeError(f"stock TVM measured no candidate in {_LIMIT_S:.0f} s: {log_end(folder / 'stock.log')}")


def log_end(log: Path) -> str:
    return " / ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    figure.set_size_inches(8.0, 2.4)
    pair(figure.subplots(), pick(results, FIRST))
