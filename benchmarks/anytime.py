"""Latency of a whole model against tuning time: light SqueezeNet with seeded random weights, 0 to 300 s.

- stock: ``tune_relax`` with its defaults (stock_tuning.py lists them) through RPC tracker and server.
  Stock TVM keeps what it measured to itself until every task has had a round of 64, half an hour for this
  model, so that stopped after 300 s it would have nothing. It is given what helps it: a
  ``max_trials_global`` of 256, which it finishes in about 300 s, and each trial counts from the moment
  that it was measured. Where it needs longer, what it measured later does not count.
- farm: a job with 300 s of budget on a tracker whose tuning worker is warm. A trial counts from the moment
  that its record is stored; later than 300 s it does not count.

On both sides TVM is imported before time begins, and reading the ONNX file and finding its tasks counts.

Two latencies are drawn. The estimated one adds up, over the model's tasks, the calls times the best time
so far: the untuned time, measured on the farm's device for both, where there is none. The measured one is
that of the model compiled with the best schedules known at 30, 60, 120 and 300 s, by ``MetaScheduleApplyDatabase``
on both sides; all models are timed in one process by TVM's own timer, with the same threads and the same
input, and their outputs must agree with ONNX Runtime's. ``package`` is what the farm's job hands out at its
end, after it has measured the winners again, which takes some seconds more than the budget.

A quick run takes a model of one MatMul instead and gives both sides trials, not seconds: on a busy machine the farm's
few seconds are over before it has a trial. Its one point is the end of the side that took longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.machine import threads
from benchmarks.plotting import FARM, MUTED, STOCK, pick
from benchmarks.result import Metric, Result
from benchmarks.results_file import times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT_S = 1500.0
TITLE = "anytime: latency of SqueezeNet against tuning time"
LATENCY = "model latency after 300 s"
AGAINST_STOCK = "model latency after 300 s, against stock TVM's"
UNTUNED = "untuned model latency"
ESTIMATED = "estimated latency after 300 s"
PACKAGE = "latency of the farm's package"
ONNX = "latency in ONNX Runtime"
RATE = "trials a second"
#: By the farm's name of a step: how much of the tuning time any trial was in it, or stock TVM was.
SHARES = {
    "search": "tuning time in search",
    "build": "tuning time in builders",
    "device": "tuning time on the device",
}
METRICS = (
    Metric(AGAINST_STOCK, "ms", must="ratio >= 25"),
    Metric(LATENCY, "ms", must="farm <= 7", aim="farm <= 1.7"),
    Metric(PACKAGE, "ms", must="farm <= 7"),
    Metric(UNTUNED, "ms"),
    Metric(ESTIMATED, "ms"),
    Metric(ONNX, "ms"),
    Metric(RATE, "/s", lower_is_better=False, must="ratio >= 5"),
    *(Metric(share, "%") for share in SHARES.values()),
)
MODEL = "light_squeezenet"
SHAPE = (1, 3, 224, 224)
TOLERANCE = 1e-4
#: What stock TVM measures in about 300 s: 0.8 a second, in rounds of 64.
STOCK_TRIALS = 256
#: Seconds of tuning; each side's model is compiled with what it knew then.
FULL_POINTS = (30.0, 60.0, 120.0, 300.0)
QUICK_REPEATS = 5


def run(bench: Bench) -> list[Result]:
    from benchmarks.anytime_farm import FarmSide
    from benchmarks.anytime_stock import StockSide
    from benchmarks.matmul import SIZE, onnx_matmul
    from benchmarks.model_timing import REPEATS, time_models
    from benchmarks.stock_runs import QUICK_TRIALS, run_stock, run_stock_once
    from tvm_farm.tracker.tuning.models.light import light_network

    model = bench.folder / "model.onnx"
    shape: tuple[int, ...] = SHAPE
    if bench.quick:
        onnx_matmul(model, weight=True)
        shape = (SIZE, SIZE)
    else:
        model.write_bytes(light_network(MODEL, seed=0))
    farm, stock = FarmSide(model, bench.folder), StockSide(model, bench.folder)
    with LocalFarm(bench.folder, workers=1) as running:
        with bench.step("a tuning worker loads TVM"):
            running.workers_ready()
        with bench.step(f"tune on the farm, {QUICK_TRIALS} trials" if bench.quick else "tune on the farm for 300 s"):
            if bench.quick:
                farm.tune(running, trials=QUICK_TRIALS)
            else:
                farm.tune(running, budget_s=FULL_POINTS[-1])
        with bench.step("measure stock TVM's untuned tasks on the same device"):
            stock.measure_untuned(running)
    with bench.step(f"{QUICK_TRIALS if bench.quick else STOCK_TRIALS} trials with stock TVM"):
        stock.take(run_stock_once(bench, model) if bench.quick else run_stock(bench.folder, model, STOCK_TRIALS))
    points = (float(math.ceil(max(farm.seconds, stock.seconds))),) if bench.quick else FULL_POINTS
    until_s = points[-1]
    with bench.step("compile what each side knew at each time"):
        models = [*farm.models(points), *stock.models(points)]
    with bench.step("time the models"):
        x = np.random.default_rng(0).random(shape, dtype=np.float32)
        timed = time_models(model, models, x, bench.folder, threads(), QUICK_REPEATS if bench.quick else REPEATS)
    wrong = {name: each.difference for name, each in timed.items() if not each.difference <= TOLERANCE}
    if wrong:
        raise RuntimeError(f"these models do not answer as ONNX Runtime does: {wrong}")

    latency_ms = {name: 1e3 * each.seconds for name, each in timed.items()}
    farm_curve, stock_curve = farm.curve(until_s), stock.curve(until_s)
    last = f"{until_s:.0f}"
    bench.series.update(
        until_s=until_s,
        points=points,
        onnx_ms=latency_ms["ONNX Runtime"],
        farm={"curve": farm_curve, "measured_ms": [latency_ms[f"farm {t:.0f}"] for t in points], "rate": farm.rate},
        stock={
            "curve": stock_curve,
            "measured_ms": [latency_ms[f"stock {t:.0f}"] for t in points],
            "rate": stock.rate,
            "ended_s": stock.seconds,
        },
        package_ms=latency_ms["package"],
        untuned_ms={"farm": latency_ms["farm 0"], "stock": latency_ms["stock 0"]},
        shares={"farm": farm.shares, "stock": stock.shares},
    )
    ours, theirs = latency_ms[f"farm {last}"], latency_ms[f"stock {last}"]
    return [
        bench.result(AGAINST_STOCK, farm=ours, stock=theirs),
        bench.result(LATENCY, farm=ours),
        bench.result(PACKAGE, farm=latency_ms["package"]),
        bench.result(UNTUNED, farm=latency_ms["farm 0"], stock=latency_ms["stock 0"]),
        bench.result(ESTIMATED, farm=1e3 * farm_curve[-1][1], stock=1e3 * stock_curve[-1][1]),
        bench.result(ONNX, farm=latency_ms["ONNX Runtime"]),
        bench.result(RATE, farm=farm.rate, stock=stock.rate),
        *(
            bench.result(metric, farm=100 * farm.shares[step], stock=100 * stock.shares[step])
            for step, metric in SHARES.items()
        ),
    ]


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    figure.set_size_inches(8.0, 6.5)
    above, below = figure.subplots(2, 1, height_ratios=(3, 1))
    _plot_latency(above, results, series)
    _plot_shares(below, series)


def _plot_latency(axes: Axes, results: Sequence[Result], series: Any) -> None:
    ends = []
    for side, colour in (("stock", STOCK), ("farm", FARM)):
        curve = series[side]["curve"]
        seconds, latency = [at_s for at_s, _ in curve], [1e3 * value_s for _, value_s in curve]
        axes.step(seconds, latency, where="post", color=colour, label=f"{side}, estimated")
        points = [0.0, *series["points"]]
        measured = [series["untuned_ms"][side], *series[side]["measured_ms"]]
        axes.plot(points, measured, "o", color=colour, clip_on=False, label=f"{side}, compiled and measured")
        axes.annotate(f"  {measured[-1]:.3g} ms", (points[-1], measured[-1]), va="center", color=colour)
        ends.append(measured[-1])
    axes.axhline(series["onnx_ms"], color=MUTED, linestyle="--", label=f"ONNX Runtime, {series['onnx_ms']:.3g} ms")
    middle = (ends[0] * ends[1]) ** 0.5
    axes.annotate(
        f"  {times(pick(results, AGAINST_STOCK).ratio)}", (series["until_s"], middle), va="center", color=FARM
    )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlim(0, 1.15 * series["until_s"])
    axes.set_xlabel("tuning time [s]")
    axes.set_ylabel("latency of the model [ms]")
    axes.legend(frameon=False, fontsize=8, loc="center")
    axes.spines[["top", "right"]].set_visible(False)


def _plot_shares(axes: Axes, series: Any) -> None:
    sides = ("stock", "farm")
    for place, side in enumerate(sides):
        for number, step in enumerate(SHARES):
            share = 100 * series["shares"][side][step]
            height = place + 0.25 * (1 - number)
            axes.barh(height, share, height=0.22, color=FARM if side == "farm" else STOCK)
            axes.annotate(f" {step} {share:.0f} %", (share, height), va="center", fontsize=8)
    axes.set_yticks(range(len(sides)), [f"{side}\n{series[side]['rate']:.2g} trials/s" for side in sides])
    axes.set_xlim(0, 115)
    axes.set_xlabel("share of the tuning time in which it was at work [%]")
    axes.spines[["top", "right"]].set_visible(False)
