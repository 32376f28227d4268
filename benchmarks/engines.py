"""Which engine finds what in how many trials: ten operators of TVM's own suite, each tuned by three engines.

The operators are of ``tvm.s_tir.meta_schedule.testing.te_workload``, one shape of each. For each of them and each of
``autotvm`` (templates, XGBoost's ranking), ``ansor`` (sketches from rules) and ``autotvm-random`` (the same templates,
points drawn at random) one job with the same number of trials, the farm's default timing plan and the same seed, one
after another on one device of this machine, in one farm that answers nothing from its log. What is told is the best
median of the first 16, 64 and 256 candidates, in the order in which their records were stored; failed candidates count.

Stock TVM has no part in it: it has neither templates any more nor another engine. Thirty jobs of 256 trials, so it runs
when it is named only: ``make bench NAMES=engines``.
"""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.plotting import FARM, MUTED, STOCK
from benchmarks.result import Metric, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tvm_farm.tracker.domain import Job

__all__ = ["METRICS", "TITLE", "WORKLOADS", "best_after", "plot", "run", "table"]

TITLE = "engines: what each finds in how many trials"
ENGINES = ("autotvm", "ansor", "autotvm-random")
AFTER = (16, 64, 256)
BEATS_RANDOM = "operators of ten on which autotvm is ahead of autotvm-random after 64 trials"
METRICS = (Metric(BEATS_RANDOM, "of 10", lower_is_better=False, must="farm >= 8"),)
LIMIT_S = 3600.0
_SEED = 1


@dataclass(frozen=True)
class Workload:
    """``name`` and ``shape`` of ``te_workload.CONFIGS``, what it is in words."""

    name: str
    shape: int
    words: str


#: Of each the shape that takes longer than it takes to wake a second thread.
WORKLOADS = (
    Workload("C1D", 3, "conv1d, 32x512x512, 3"),
    Workload("C2D", 2, "conv2d NHWC, 14x14x256x256, 3x3"),
    Workload("C3D", 1, "conv3d, 16x56x56x64x64, 1x1"),
    Workload("DEP", 0, "depthwise conv2d, 112x112x32, 3x3"),
    Workload("DIL", 2, "conv2d, dilation 2, 14x14x256x256, 3x3"),
    Workload("GMM", 2, "matmul, 512x512x512"),
    Workload("GRP", 2, "conv2d, 4 groups, 14x14x256x256, 3x3"),
    Workload("CBR", 0, "conv2d, batch norm and relu, 224x224x3x64, 7x7"),
    Workload("TBG", 0, "transposed batch matmul, 128x64x12"),
    Workload("T2D", 1, "transposed conv2d, 8x8x256x128, 4x4, stride 2"),
)
#: Those that a template of just their structure matches; the others have the one for whatever adds up.
ONE_STRUCTURE = ("C2D", "DEP", "DIL", "GMM", "CBR")


def run(bench: Bench) -> list[Result]:
    after = AFTER[:1] if bench.quick else AFTER
    workloads = WORKLOADS[5:6] if bench.quick else WORKLOADS
    found: dict[str, dict[str, list[float | None]]] = {}
    with LocalFarm(bench.folder, workers=1) as farm:
        with bench.step("a tuning worker loads TVM"):
            farm.workers_ready()
        for workload in workloads:
            found[workload.name] = {}
            for engine in ENGINES:
                with bench.step(f"{workload.name}, {engine}: {after[-1]} trials"):
                    found[workload.name][engine] = _tuned(bench, farm, workload, engine, after[-1])
    bench.series.update(seconds=found)
    results = [
        Result.of(
            f"engines/{name}",
            Metric(f"latency after {trials} trials, {engine}", "ms"),
            farm=1e3 * best_after(seconds, trials),
            stock=None,
            machine=bench.machine,
            date=bench.date,
        )
        for name, by_engine in found.items()
        for trials in after
        for engine, seconds in by_engine.items()
    ]
    if not bench.quick:
        beats = sum(best_after(each["autotvm"], 64) < best_after(each["autotvm-random"], 64) for each in found.values())
        results.insert(0, bench.result(BEATS_RANDOM, farm=beats))
    return results


def best_after(seconds: Sequence[float | None], trials: int) -> float:
    """The best of the first ``trials``; None is a candidate that failed. Infinite where all did."""
    return min((each for each in seconds[:trials] if each is not None), default=float("inf"))


def _tuned(bench: Bench, farm: LocalFarm, workload: Workload, engine: str, trials: int) -> list[float | None]:
    """Median seconds a call of each candidate. Raises RuntimeError when the job fails or has not all trials."""
    from tvm_farm.tracker.domain import JobKind, JobSpec, JobState, RecordFilter

    source = bench.folder / f"{workload.name}.py"
    source.write_text(
        "from tvm.s_tir.meta_schedule.testing.te_workload import create_te_workload\n\n"
        f"operator = create_te_workload({workload.name!r}, {workload.shape})\n",
        encoding="utf-8",
    )
    spec = JobSpec(
        kind=JobKind.TUNE,
        model_name=workload.name,
        model=farm.client.artifacts.put(source),
        operator=f"{source.name}:operator",
        pool=farm.devices()[0].pools[0],
        engine=engine,
        max_trials=trials,
        seed=_SEED,
        fresh=True,
    )
    job: Job = farm.client.jobs.submit(spec, uuid.uuid4().hex)
    for latest in farm.client.jobs.watch(job.id):
        job = latest
    if job.state is not JobState.DONE:
        raise RuntimeError(f"{workload.name}: the job {job.id} is {job.state.value}: {job.error}")
    records = [r for r in farm.client.log.records(RecordFilter(job_id=job.id)) if not r.is_baseline]
    if len(records) != trials:
        raise RuntimeError(f"{workload.name}: the job {job.id} recorded {len(records)} trials of {trials}")
    times = [record.measurement.run_secs for record in records]
    return [statistics.median(run_secs) if run_secs else None for run_secs in times]


def table(results: Sequence[Result]) -> str:
    """The rows of this benchmark as Markdown: a line for each workload, the best of each number of trials in bold, and
    what ``--tuner auto`` goes by."""
    rows = {
        (r.benchmark.removeprefix("engines/"), r.metric): r.farm for r in results if r.benchmark.startswith("engines/")
    }
    if not rows:
        return "No full run yet: `make bench NAMES=engines`.\n"
    columns = [f"{engine}, {trials}" for trials in AFTER for engine in ENGINES]
    lines = [f"| latency in ms after trials | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for workload in WORKLOADS:
        cells = []
        for trials in AFTER:
            times = [rows[workload.name, f"latency after {trials} trials, {engine}"] for engine in ENGINES]
            cells += [f"**{ms:.3g}**" if ms == min(times) else f"{ms:.3g}" for ms in times]
        lines.append(f"| {workload.name}: {workload.words} | {' | '.join(cells)} |")
    lines += ["", f"| ansor's time over autotvm's, geometric mean, after trials | {' | '.join(map(str, AFTER))} |"]
    lines.append(f"|---|{'---:|' * len(AFTER)}")
    for names in (ONE_STRUCTURE, [each.name for each in WORKLOADS if each.name not in ONE_STRUCTURE]):
        means = [
            statistics.geometric_mean(
                rows[name, f"latency after {trials} trials, ansor"]
                / rows[name, f"latency after {trials} trials, autotvm"]
                for name in names
            )
            for trials in AFTER
        ]
        lines.append(f"| {', '.join(names)} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    return "\n".join(lines) + "\n"


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    """How far each engine is from the best that any of them found, by trials."""
    seconds: Mapping[str, Mapping[str, list[float | None]]] = series["seconds"]
    colours = dict(zip(ENGINES, (FARM, STOCK, MUTED), strict=True))
    grid = figure.subplots(2, -(-len(seconds) // 2), sharex=True, squeeze=False)
    for axes, (name, by_engine) in zip(grid.flat, seconds.items(), strict=False):
        ends = [best_after(times, len(times)) for times in by_engine.values()]
        for engine, times in by_engine.items():
            curve = [best_after(times, number) / min(ends) for number in range(1, len(times) + 1)]
            axes.step(range(1, len(curve) + 1), curve, where="post", color=colours[engine], label=engine)
        axes.set_title(name, fontsize=9)
        axes.set_xscale("log", base=2)
        axes.set_ylim(0.95, 4)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0][0].legend(frameon=False, fontsize=7)
    figure.supxlabel("trials", fontsize=9)
    figure.supylabel("times the best that any found", fontsize=9)
