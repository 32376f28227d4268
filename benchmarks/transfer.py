"""How many trials a search saves by what the log has: of another class of device, and of other shapes.

The last fire modules of light SqueezeNet, eight tasks or so, are tuned on agents whose kernels get one thread, with
equal budgets and the same seed, by each engine and in a farm of its own each time:

- cold: the log is empty.
- class: the same part was tuned before on another class of device, agents whose kernels get two threads.
- shape: the part was tuned before on the same class for larger images, so that no task is the same and each has
  one of its kind.

What is told is after how many trials the model's estimated latency is within 5 % of the best that any of the engine's
searches of one seed ends with: the sum, over its tasks, of the calls times the best time so far, or the untuned time of
the cold search where that is less. Records count in the order in which they were stored. A search that never comes
there counts as one trial more than it had.

Stock TVM has no part in it: a tuning of its begins anew with another shape or device. It runs when it is named only:
``make bench NAMES=transfer``.
"""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.plotting import FARM, MUTED, STOCK
from benchmarks.result import Metric, Result
from tvm_farm.tracker.domain import Job, JobKind, JobSpec, JobState, RecordFilter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["METRICS", "TITLE", "best_so_far", "median_curve", "plot", "run", "table", "trials_until"]

TITLE = "transfer: trials that records of another class, and of other shapes, save"
LIMIT_S = 3600.0
TEACHER, PUPIL = "teacher", "pupil"
ENGINES = ("ansor", "autotvm")
CASES = ("cold", "class", "shape")
WORDS = {"cold": "an empty log", "class": "records of another class", "shape": "records of other shapes"}
METRICS = tuple(Metric(f"trials to 95 % of the best, {engine}", "trials") for engine in ENGINES)
#: Of the concatenations that end SqueezeNet's eight fire modules: that before the part, and the one at its end.
BEFORE, LAST = 5, 7
#: Pixels of the images' sides. Where the part is, they are 13 and 17.
SIDE, OTHER_SIDE = 224, 288
_NEAR_THE_BEST = 1 / 0.95
TRIALS = 160

_Curves = dict[str, list[float]]


def run(bench: Bench) -> list[Result]:
    trials, seeds = (16, (1,)) if bench.quick else (TRIALS, (1, 2))
    runs = [_run(bench, engine, seed, trials) for seed in seeds for engine in ENGINES]
    bench.series.update(trials=trials, runs=runs)
    return [
        Result.of(f"transfer/{case}", metric, farm=reached, stock=None, machine=bench.machine, date=bench.date)
        for engine, metric in zip(ENGINES, METRICS, strict=True)
        for case, reached in _medians(runs, engine, trials).items()
    ]


def _medians(runs: Iterable[Mapping[str, Any]], engine: str, trials: int) -> dict[str, float]:
    """Of the seeds, for each case: trials until the best is near."""
    reached: dict[str, list[int]] = {case: [] for case in CASES}
    for each in runs:
        if each["engine"] == engine:
            level = _NEAR_THE_BEST * min(each["curves"][case][-1] for case in CASES)
            for case in CASES:
                until = trials_until(each["curves"][case], level)
                reached[case].append(trials + 1 if until is None else until)
    return {case: statistics.median(numbers) for case, numbers in reached.items()}


def _run(bench: Bench, engine: str, seed: int, trials: int) -> dict[str, Any]:
    """``curves``: seconds before the first trial and after each; ``taught``: tasks that began with records, by case."""
    folder = bench.folder / f"{engine}-{seed}"
    folder.mkdir()
    model, larger = folder / "fire.onnx", folder / "larger.onnx"
    model.write_bytes(_part_of_squeezenet(seed, SIDE))
    larger.write_bytes(_part_of_squeezenet(seed, OTHER_SIDE))
    before: dict[str, list[tuple[str, Path]]] = {"cold": [], "class": [(TEACHER, model)], "shape": [(PUPIL, larger)]}
    curves: _Curves = {}
    taught: dict[str, int] = {}
    weights: dict[str, int] = {}
    untuned_s: dict[str, float] = {}
    for case in CASES:
        with bench.step(f"{engine}, seed {seed}, {WORDS[case]}: {trials} trials"):
            job, measured = _tuned(folder / case, engine, seed, trials, [*before[case], (PUPIL, model)])
        if case == "cold":
            # One baseline for all: noise in what is not tuned yet must not look like a gain.
            untuned_s = {task.workload: task.untuned_s for task in job.tasks}
            weights = {task.workload: task.weight for task in job.tasks}
        curves[case] = best_so_far(measured, weights, untuned_s)
        taught[case] = job.result.taught_tasks if job.result else 0
    return {"engine": engine, "seed": seed, "tasks": len(weights), "curves": curves, "taught": taught}


def _tuned(
    folder: Path, engine: str, seed: int, trials: int, order: Sequence[tuple[str, Path]]
) -> tuple[Job, list[tuple[str, float | None]]]:
    """The last of ``order``, a class and a model, tuned after the others in one new farm: its job and its trials."""
    folder.mkdir()
    with LocalFarm(folder, agents=0, workers=1) as farm:
        for role in (TEACHER, PUPIL):
            farm.add_agent("--threads", "2" if role == TEACHER else "1", "--label", f"role={role}")
            farm.client.devices.put_pool(role, {"role": role})
        farm.wait_for_devices(2)
        farm.workers_ready()
        for role, model in order:
            job = _job(farm, role, model, engine, seed, trials)
        records = farm.client.log.records(RecordFilter(job_id=job.id))
        return job, [
            (record.workload, statistics.median(run_secs) if (run_secs := record.measurement.run_secs) else None)
            for record in records
            if not record.is_baseline
        ]


def _job(farm: LocalFarm, pool: str, model: Path, engine: str, seed: int, trials: int) -> Job:
    client = farm.client
    content = client.artifacts.put(model)
    spec = JobSpec(JobKind.TUNE, model.stem, content, pool, engine=engine, max_trials=trials, seed=seed)
    job = client.jobs.submit(spec, uuid.uuid4().hex)
    for latest in client.jobs.watch(job.id):
        job = latest
    if job.state is not JobState.DONE or job.result is None:
        raise RuntimeError(f"the job {job.id} is {job.state.value}: {job.error}")
    return job


def _part_of_squeezenet(seed: int, side: int) -> bytes:
    import onnx
    import onnx.utils

    from tvm_farm.tracker.tuning.models.light import light_network

    model = onnx.load_from_string(light_network("light_squeezenet", seed=seed))
    weights = {tensor.name for tensor in model.graph.initializer}
    (image,) = [each for each in model.graph.input if each.name not in weights]
    for dimension in image.type.tensor_type.shape.dim[2:]:
        dimension.dim_value = side
    # What the network ends with depends on the image's size; the part does not.
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    model = onnx.shape_inference.infer_shapes(model)
    fires = [node.output[0] for node in model.graph.node if node.op_type == "Concat"]
    content: bytes = onnx.utils.Extractor(model).extract_model([fires[BEFORE]], [fires[LAST]]).SerializeToString()
    return content


def best_so_far(
    trials: Sequence[tuple[str, float | None]], weights: Mapping[str, int], untuned_s: Mapping[str, float]
) -> list[float]:
    """The model's estimated latency before the first of ``trials`` and after each; None is a trial that failed."""
    best = {key: untuned_s[key] for key in weights}
    curve = [sum(weights[key] * best[key] for key in weights)]
    for workload, seconds in trials:
        if seconds is not None and workload in best:
            best[workload] = min(best[workload], seconds)
        curve.append(sum(weights[key] * best[key] for key in weights))
    return curve


def trials_until(curve: Sequence[float], seconds: float) -> int | None:
    """After how many trials ``curve`` is at ``seconds`` or below; None where it never is."""
    return next((number for number, value in enumerate(curve) if value <= seconds), None)


def median_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.median(values) for values in zip(*curves, strict=True)]


def table(results: Sequence[Result]) -> str:
    """The rows of this benchmark as Markdown: a line for each engine."""
    rows = {(r.benchmark, r.metric): r.farm for r in results if r.benchmark.startswith("transfer/")}
    if not rows:
        return "No full run yet: `make bench NAMES=transfer`.\n"
    lines = [
        f"| trials to 95 % of the best, with | {' | '.join(WORDS[case] for case in CASES)} |",
        "|---|---:|---:|---:|",
    ]
    for engine, metric in zip(ENGINES, METRICS, strict=True):
        cells = [_told(rows[f"transfer/{case}", metric.name]) for case in CASES]
        lines.append(f"| {engine} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _told(trials: float) -> str:
    return f"more than {TRIALS}" if trials > TRIALS else f"{trials:.0f}"


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    """Medians of the seeds, and each seed faintly."""
    panels = figure.subplots(1, len(ENGINES), sharex=True, sharey=True)
    for axes, engine in zip(panels, ENGINES, strict=True):
        runs = [each["curves"] for each in series["runs"] if each["engine"] == engine]
        reached = _medians(series["runs"], engine, series["trials"])
        for case, colour in zip(CASES, (STOCK, FARM, MUTED), strict=True):
            curves = [[1e3 * value for value in curves[case]] for curves in runs]
            for curve in curves:
                axes.step(range(len(curve)), curve, where="post", color=colour, alpha=0.25, linewidth=0.8)
            middle = median_curve(curves)
            label = f"{WORDS[case]}: {_told(reached[case])} trials"
            axes.step(range(len(middle)), middle, where="post", color=colour, linewidth=2.0, label=label)
        axes.set_title(engine, fontsize=10)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("trials")
        axes.legend(frameon=False, fontsize=8, title="to 95 % of the best, with", title_fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("estimated latency [ms]")
