"""Latency of compiled models, all in one process and one way: ``python -m benchmarks.model_timing ORDER.json``.

ONNX Runtime is asked first, in a process of its own, and writes its output, which is what all others must give.
TVM's models are timed by TVM's own timer through its virtual machine, each of their threads bound to a CPU,
ONNX Runtime's by the clock around its call; both: median of some calls after a warm-up. The answer maps a name to
``seconds`` a call and to ``difference``, the largest from ONNX Runtime's output.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stock import StockProcess

__all__ = ["ModelTime", "TimedModel", "time_models"]

REPEATS = 20
_ONE_CPU_A_THREAD = -2


@dataclass(frozen=True)
class TimedModel:
    """A library whose ``main`` takes the input and then ``param_names`` out of ``params``."""

    name: str
    library: str
    params: str = ""
    param_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelTime:
    seconds: float
    difference: float


def time_models(
    onnx: Path,
    models: Sequence[TimedModel],
    x: np.ndarray[Any, Any],
    folder: Path,
    threads: int,
    repeats: int = REPEATS,
) -> dict[str, ModelTime]:
    """Time ONNX Runtime (as ``"ONNX Runtime"``) and ``models`` on input ``x`` with ``threads`` threads.

    Raises RuntimeError when a process fails.
    """
    data, expected = folder / "input.npy", folder / "expected.npy"
    np.save(data, x)
    files = {"input": str(data), "expected": str(expected), "repeats": repeats}
    timed = _ask({**files, "onnx": str(onnx), "threads": threads}, folder / "time-onnx", threads)
    return timed | _ask({**files, "models": [asdict(model) for model in models]}, folder / "time-models", threads)


def _ask(order: dict[str, Any], path: Path, threads: int) -> dict[str, ModelTime]:
    answer = path.with_suffix(".answer.json")
    path.with_suffix(".json").write_text(json.dumps({**order, "answer": str(answer)}), encoding="utf-8")
    command = ["-m", "benchmarks.model_timing", str(path.with_suffix(".json"))]
    with StockProcess(command, path.with_suffix(".log"), threads) as process:
        while not process.ended():
            time.sleep(0.1)
    return {name: ModelTime(**timed) for name, timed in json.loads(answer.read_text(encoding="utf-8")).items()}


def _time_tvm(
    models: list[dict[str, Any]], x: np.ndarray[Any, Any], expected: Path, repeats: int
) -> dict[str, ModelTime]:
    import tvm
    from tvm import relax

    # A thread a CPU, the calling one too: TVM leaves that one free, and where it stays on the CPU of another the model
    # takes twice the time.
    cpus = sorted(os.sched_getaffinity(0))
    tvm.get_global_func("runtime.config_threadpool")(_ONE_CPU_A_THREAD, len(cpus), [str(cpu) for cpu in cpus])
    os.sched_setaffinity(0, cpus[:1])
    device, wanted, answers = tvm.cpu(), np.load(expected), {}
    for model in models:
        machine = relax.VirtualMachine(tvm.runtime.load_module(model["library"]), device)
        params = tvm.runtime.load_param_dict(Path(model["params"]).read_bytes()) if model["params"] else {}
        arguments = [tvm.runtime.tensor(x, device), *(params[name] for name in model["param_names"])]
        output = machine["main"](*arguments)
        output = output if hasattr(output, "numpy") else output[0]
        difference = float(np.abs(output.numpy() - wanted).max())
        timer = machine.time_evaluator("main", device, number=1, repeat=repeats)
        answers[model["name"]] = ModelTime(statistics.median(timer(*arguments).results), difference)
    return answers


def _time_onnx(path: str, x: np.ndarray[Any, Any], expected: Path, threads: int, repeats: int) -> dict[str, ModelTime]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x}
    np.save(expected, session.run(None, feed)[0])
    seconds = []
    for _ in range(repeats):
        begun_s = time.perf_counter()
        session.run(None, feed)
        seconds.append(time.perf_counter() - begun_s)
    return {"ONNX Runtime": ModelTime(statistics.median(seconds), 0.0)}


def main(order: dict[str, Any]) -> None:
    x, expected, repeats = np.load(order["input"]), Path(order["expected"]), order["repeats"]
    if "onnx" in order:
        timed = _time_onnx(order["onnx"], x, expected, order["threads"], repeats)
    else:
        timed = _time_tvm(order["models"], x, expected, repeats)
    answer = {name: asdict(each) for name, each in timed.items()}
    Path(order["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
