"""``python -m benchmarks.transfer``: how many trials a class of device saves by what another one has measured.

Two classes on this machine: agents whose kernels get two threads ("teacher") and one ("pupil"). Each run
has a seed of its own and tunes the second half of light SqueezeNet, its fire modules 6 to 9 in twelve tasks,
with equal budgets of trials:

- cold: the pupil alone in a farm whose log is empty.
- warm: the pupil in a farm where the teacher was tuned before; both searches have the cold one's seed.

What is drawn is the model's estimated latency over the pupil's trials, in the order in which their records
were stored: the sum, over its tasks, of the calls times the best time so far, or the untuned time of the
cold run where that is less. A saving is told as the trials that either search needs to come to the latency that
the cold one has at its end, to 1.25 and to 2 times of it.

Needs no C compiler. Writes series/transfer.json and plots/transfer.png beside this file; each run takes
some three minutes on two cores. ``--add`` keeps the runs that are there.
"""

from __future__ import annotations

import signal
import statistics
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.farm import Farm
from benchmarks.machine import describe_machine
from benchmarks.plotting import FARM, STOCK
from benchmarks.results_file import Results
from tracker.cli.signals import raised_as_interrupt
from tracker.domain import Job, JobKind, JobSpec, JobState, RecordFilter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["best_so_far", "main", "median_curve", "savings", "trials_until"]

HERE = Path(__file__).parent
TEACHER, PUPIL = "teacher", "pupil"
#: Of the concatenations that end SqueezeNet's eight fire modules: that before the part, and the one at its end.
BEFORE, LAST = 3, 7
#: Latencies whose trials are told, as multiples of the cold search's last one.
LEVELS = (1.25, 2.0, 1.0)


@click.command()
@click.option("--trials", type=click.IntRange(1), default=144, show_default=True, help="Budget of each search.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Runs, each with the next seed.")
@click.option("--add", is_flag=True, help="Keep the runs recorded earlier, which must have had the same budget.")
@click.option("--plot", "only_plot", is_flag=True, help="Run nothing: draw the plot anew.")
def main(trials: int, seeds: int, add: bool, only_plot: bool) -> None:
    """Record what one class of device saves by the measurements of another."""
    results = Results(HERE)
    if not only_plot:
        kept = results.series("transfer") if add else None
        if kept and (kept["trials"], kept["machine"]) != (trials, describe_machine()):
            raise click.UsageError(f"the runs recorded earlier are of {kept['trials']} trials on {kept['machine']}")
        runs = kept["runs"] if kept else []
        first = 1 + max((run["seed"] for run in runs), default=0)
        for seed in range(first, first + seeds):
            with raised_as_interrupt(signal.SIGTERM):
                runs.append(_run(seed, trials))
            series = {"machine": describe_machine(), "date": _today(), "trials": trials, "runs": runs}
            results.write_series("transfer", series)
    series = results.series("transfer")
    if series is None:
        raise click.UsageError("nothing was recorded yet")
    (HERE / "plots").mkdir(exist_ok=True)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.5), dpi=120, layout="constrained")
    _plot(figure, series)
    figure.savefig(HERE / "plots" / "transfer.png")
    for line in _told(series):
        click.echo(line)


def _run(seed: int, trials: int) -> dict[str, Any]:
    """Curves of one cold and one warm search: seconds after each trial."""
    with tempfile.TemporaryDirectory(prefix="tvm-farm-transfer-") as folder:
        model = Path(folder) / "fire.onnx"
        model.write_bytes(_half_of_squeezenet(seed))
        click.echo(f"seed {seed}: cold …", err=True)
        cold, _ = _tuned(Path(folder) / "cold", model, seed, trials, [PUPIL])
        click.echo(f"seed {seed}: the teacher, then warm …", err=True)
        warm, taught = _tuned(Path(folder) / "warm", model, seed, trials, [TEACHER, PUPIL])
    # One baseline for both: noise in what is not tuned yet must not look like a gain.
    untuned_s = {task.workload: task.untuned_s for task in cold[0].tasks}
    weights = {task.workload: task.weight for task in cold[0].tasks}
    return {
        "seed": seed,
        "untuned_s": sum(weights[key] * untuned_s[key] for key in weights),
        "cold_s": best_so_far(cold[1], weights, untuned_s),
        "warm_s": best_so_far(warm[1], weights, untuned_s),
        "taught_tasks": taught,
        "tasks": len(weights),
    }


def _tuned(
    folder: Path, model: Path, seed: int, trials: int, roles: Sequence[str]
) -> tuple[tuple[Job, list[tuple[str, float | None]]], int]:
    """The last of ``roles``, tuned after the others in one new farm: job, trials, how many tasks had a teacher."""
    folder.mkdir()
    with Farm(folder, agents=0, workers=1) as farm:
        for role in roles:
            farm.add_agent("--threads", "2" if role == TEACHER else "1", "--label", f"role={role}")
            farm.client.put_pool(role, {"role": role})
        farm.wait_for_devices(len(roles))
        farm.workers_ready()
        for role in roles:
            job = _job(farm, role, model, seed, trials)
        records = [
            (record.workload, statistics.median(run_secs) if (run_secs := record.measurement.run_secs) else None)
            for record in farm.client.records(RecordFilter(job_id=job.id))
            if record.engine != "untuned"
        ]
    assert job.result is not None
    return (job, records), job.result.taught_tasks


def _job(farm: Farm, pool: str, model: Path, seed: int, trials: int) -> Job:
    client = farm.client
    content = client.put_artifact(model)
    spec = JobSpec(JobKind.TUNE, model.stem, content, pool, max_trials=trials, seed=seed)
    job = client.submit(spec, uuid.uuid4().hex)
    for latest in client.watch(job.id):
        job = latest
    if job.state is not JobState.DONE or job.result is None:
        raise RuntimeError(f"the job {job.id} is {job.state and job.state.value}: {job.error}")
    return job


def _half_of_squeezenet(seed: int) -> bytes:
    import onnx
    import onnx.utils

    from tracker.tuning.models.light import light_network

    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(light_network("light_squeezenet", seed=seed)))
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


def savings(cold: Sequence[float], warm: Sequence[float]) -> list[tuple[float, int, int | None]]:
    """For each of LEVELS, in last latencies of ``cold``, the trials until ``cold`` and until ``warm`` is there.

    None where ``warm`` never is.
    """
    reached = []
    for level in LEVELS:
        until = trials_until(cold, level * cold[-1])
        assert until is not None, "a curve reaches its own end"
        reached.append((level, until, trials_until(warm, level * cold[-1])))
    return reached


def _told(series: Any) -> list[str]:
    lines = [f"{series['machine']}; {len(series['runs'])} runs of {series['trials']} trials, {series['date']}"]
    for run in series["runs"]:
        cold, warm = run["cold_s"], run["warm_s"]
        lines.append(
            f"seed {run['seed']}: {1e3 * run['untuned_s']:.1f} ms untuned; after {series['trials']} trials "
            f"{1e3 * cold[-1]:.3f} ms cold, {1e3 * warm[-1]:.3f} ms warm; {run['taught_tasks']} of {run['tasks']} "
            "tasks began with records"
        )
        for level, without, with_ in savings(cold, warm):
            needs = "more than all" if with_ is None else str(with_)
            lines.append(f"    {level:g} x cold's last latency: cold after {without} trials, warm after {needs}")
    return lines


def _plot(figure: Figure, series: Any) -> None:
    axes = figure.subplots()
    for side, colour in (("cold", STOCK), ("warm", FARM)):
        curves = [[1e3 * value for value in run[f"{side}_s"]] for run in series["runs"]]
        for curve in curves:
            axes.step(range(len(curve)), curve, where="post", color=colour, alpha=0.3, linewidth=0.8)
        middle = median_curve(curves)
        label = f"{side}, median: {middle[-1]:.3g} ms in the end"
        axes.step(range(len(middle)), middle, where="post", color=colour, linewidth=2.0, label=label)
    seen = [savings(run["cold_s"], run["warm_s"])[0] for run in series["runs"]]
    cold = statistics.median(without for _, without, _ in seen)
    # One that never came there needs more than all.
    warm = statistics.median(series["trials"] + 1 if with_ is None else with_ for _, _, with_ in seen)
    title = f"{LEVELS[0]:g} x cold's last latency: after {cold:.0f} trials cold, {warm:.0f} warm"
    axes.set_title(title, loc="right", color=FARM, fontsize=10)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlim(0, 1.12 * series["trials"])
    axes.set_xlabel("trials on the class being tuned")
    axes.set_ylabel("estimated latency [ms]")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _today() -> str:
    return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime())


if __name__ == "__main__":
    main()
