"""int8 networks beside their float32 twins: what quantizing a model gains on this machine's CPU.

Two networks like MobileNet V2 with seeded random weights, one an ONNX file whose twin ONNX Runtime's quantizer made
(QuantizeLinear and DequantizeLinear, mobile.py), one a TFLite file whose twin is int8 throughout. Each of the four is
tuned by ``farm tune`` with as many trials on one agent; then both packages of a pair run in turn in one process, by the
loader that ships with them, their threads bound. Median of 200 rounds. A job's answers are judged by ONNX Runtime or
LiteRT, and a job that ends well was equal.

Stock TVM has no part in it. It runs when it is named only: ``make bench NAMES=quantized``.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench
from benchmarks.farm import LocalFarm
from benchmarks.first_result import log_end
from benchmarks.plotting import FARM, STOCK
from benchmarks.result import Metric, Result
from tests.support.tflite_networks import mobile_network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["METRICS", "TITLE", "plot", "run"]

TITLE = "quantized: latency of int8 networks and of their float32 twins"
LIMIT_S = 2400.0
FORMATS = {"QDQ": "onnx", "TFLite": "tflite"}
DTYPES = ("float32", "int8")
METRICS = (
    *(Metric(f"int8 faster than float32, {format}", "x", lower_is_better=False, must="farm > 1") for format in FORMATS),
    *(Metric(f"latency in {dtype}, {format}", "ms") for format in FORMATS for dtype in DTYPES),
)
_ROOT = Path(__file__).parents[1]


def run(bench: Bench) -> list[Result]:
    size, width, trials = (32, 16, 24) if bench.quick else (96, 32, 400)
    _make_models(bench.folder, size, width)
    seconds: dict[str, list[float]] = {}
    with LocalFarm(bench.folder, workers=1) as farm:
        for format, suffix in FORMATS.items():
            folders = []
            for dtype in DTYPES:
                with bench.step(f"farm tune, {format} in {dtype}"):
                    folders.append(_tuned(farm, bench.folder / suffix / f"{dtype}.{suffix}", trials))
            with bench.step(f"both packages in turn, {format}"):
                timed = _timed(bench.folder / f"{suffix}.json", folders)
            seconds |= {f"{format} {dtype}": timed[folder.name] for dtype, folder in zip(DTYPES, folders, strict=True)}
    bench.series.update(seconds=seconds, trials=trials)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    faster = [
        bench.result(f"int8 faster than float32, {format}", farm=middle[f"{format} float32"] / middle[f"{format} int8"])
        for format in FORMATS
    ]
    return faster + [
        bench.result(f"latency in {dtype}, {format}", farm=1e3 * middle[f"{format} {dtype}"])
        for format in FORMATS
        for dtype in DTYPES
    ]


def _make_models(folder: Path, size: int, width: int) -> None:
    """FOLDER/onnx and FOLDER/tflite, each with a file a dtype."""
    for suffix in FORMATS.values():
        (folder / suffix).mkdir()
    # Not in this process: the quantizer loads ONNX Runtime, which keeps threads.
    command = [sys.executable, "-m", "benchmarks.mobile", str(folder / "onnx"), str(size), str(width)]
    subprocess.run(command, check=True, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for dtype in DTYPES:
        network = mobile_network(0, quantized=dtype == "int8", size=size, width=width, blocks=5)
        (folder / "tflite" / f"{dtype}.tflite").write_bytes(network)


def _tuned(farm: LocalFarm, model: Path, trials: int) -> Path:
    """The finished package. Raises RuntimeError where the job fails, as it does when its answers differ."""
    package, log = (
        farm.folder / f"{model.parent.name}-{model.stem}",
        farm.folder / f"{model.parent.name}-{model.stem}.log",
    )
    pool = farm.devices()[0].pools[0]
    command = farm.command(
        "tune", str(model), "--pool", pool, "--trials", str(trials), "--seed", "1", "-o", str(package)
    )
    with log.open("wb") as output:
        if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=farm.folder).returncode:
            raise RuntimeError(f"`farm tune` of {model.name} failed: {log_end(log)}")
    return package


def _timed(answer: Path, folders: Sequence[Path]) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "benchmarks.package_timing", str(answer), *map(str, folders)]
    subprocess.run(command, check=True, cwd=_ROOT)
    timed: dict[str, list[float]] = json.loads(answer.read_text(encoding="utf-8"))
    return timed


def plot(figure: Figure, results: Sequence[Result], series: Any) -> None:
    """Medians with the quartiles of the rounds."""
    figure.set_size_inches(8.0, 2.8)
    axes = figure.subplots()
    for place, (name, seconds) in enumerate(series["seconds"].items()):
        low, middle, high = (1e3 * value for value in statistics.quantiles(seconds, n=4))
        colour = FARM if name.endswith("int8") else STOCK
        axes.barh(place, middle, color=colour, height=0.6, xerr=[[middle - low], [high - middle]])
        axes.annotate(f"  {middle:.3g} ms", (high, place), va="center", fontsize=9, annotation_clip=False)
    axes.set_yticks(range(len(series["seconds"])), list(series["seconds"]))
    axes.set_xlabel("latency [ms], median and quartiles of rounds in turn")
    axes.spines[["top", "right"]].set_visible(False)
