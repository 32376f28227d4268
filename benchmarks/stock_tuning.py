"""Stock TVM's tuning in a process of its own: ``python -m benchmarks.stock_tuning ORDER.json``.

The order names the model, the target, the RPC tracker, the working folder and the trials; everything
else is the default of ``tune_tir`` and ``tune_relax`` in TVM 0.27: rounds of 64 trials, LocalBuilder with
one worker a physical core, XGBoost cost model, evolutionary search with a population of 512, gradient task
scheduler, JSON database, and for the runner EvaluatorConfig(number=3, repeat=1, min_repeat_ms=100).

In the working folder ``started.txt`` holds the Unix time at which the process began, ``begun.txt`` that at which TVM
was loaded and the work began, ``ended.txt`` that of its end, ``profile.json`` what MetaSchedule's own profiler counted,
in seconds, and ``measured.txt`` a line for each measured candidate: the Unix time and its seconds a call. The last is
all that is added to the defaults: the database alone would not do, since stock TVM writes a task's trials into it when
it comes back to that task, which it does for the first time after every task has had a round.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

__all__ = ["DATABASE", "PROFILE", "StockOrder", "load_stock_model", "measured_at"]

DATABASE = "database_tuning_record.json"
PROFILE = "profile.json"
MEASURED = "measured.txt"
_ORDER = "order.json"
_FAILED = "Error in "


@dataclass(frozen=True)
class StockOrder:
    """``model``: an ONNX file for ``tune_relax``, or a module as ``tvm.ir.save_json`` writes it for ``tune_tir``."""

    model: str
    target: str
    tracker_port: int
    work_dir: str
    trials: int
    quick: bool = False

    def arguments(self) -> list[str]:
        """Write the order into its folder; returns how to run it."""
        folder = Path(self.work_dir)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / _ORDER
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return ["-m", "benchmarks.stock_tuning", str(path)]

    @classmethod
    def read(cls, folder: Path) -> StockOrder:
        """The order that was written into ``folder``."""
        return cls(**json.loads((folder / _ORDER).read_text(encoding="utf-8")))

    @property
    def folder(self) -> Path:
        return Path(self.work_dir)

    def seconds(self) -> float:
        """From TVM being loaded to the end. Raises RuntimeError where it did not end."""
        begun_s, ended_s = self.stamp("begun"), self.stamp("ended")
        if begun_s is None or ended_s is None:
            raise RuntimeError("stock TVM's tuning has not ended")
        return ended_s - begun_s

    def recorded(self) -> int:
        """Trials in its database, failed ones too."""
        return (self.folder / DATABASE).read_bytes().count(b"\n")

    def first_failure(self) -> str:
        """What MetaSchedule's log says of the first trial that failed: its line and the one below."""
        for log in sorted((self.folder / "logs").glob("*.task_0_*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            for number, line in enumerate(lines):
                if _FAILED in line:
                    return f"{_FAILED}{line.partition(_FAILED)[2]} {' '.join(lines[number + 1 : number + 2]).strip()}"
        return "its log says nothing of it"

    def stamp(self, name: str) -> float | None:
        """Unix seconds of ``started``, ``begun`` or ``ended``; None where it is not that far."""
        path = Path(self.work_dir, f"{name}.txt")
        return float(path.read_text(encoding="utf-8")) if path.exists() else None


def load_stock_model(path: Path):  # type: ignore[no-untyped-def]  # tvm has no types
    """An ONNX file as TVM's tutorials take it: imported, then through the ``zero`` pipeline. -> IRModule."""
    import onnx
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    return relax.get_pipeline("zero")(from_onnx(onnx.load(path)))


def measured_at(folder: Path) -> list[tuple[float, float]]:
    """What was measured so far, in order: (Unix seconds, seconds a call)."""
    try:
        whole = (folder / MEASURED).read_text(encoding="utf-8").rpartition("\n")[0]
    except FileNotFoundError:
        return []
    pairs = [line.split() for line in whole.splitlines()]
    return [(float(at_s), float(seconds)) for at_s, seconds in pairs]


def noting_evaluator(path: str) -> Callable[..., list[float]]:
    """RPCRunner's own evaluator, which also writes down when it was done."""

    def evaluate(session: Any, module: Any, device: Any, config: Any, arguments: Any) -> list[float]:
        from tvm.s_tir.meta_schedule.runner.rpc_runner import default_run_evaluator

        costs: list[float] = default_run_evaluator(session, module, device, config, arguments)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{time.time()!r} {float(min(costs))!r}\n")
        return costs

    return evaluate


def main(order: StockOrder) -> None:
    import tvm
    from tvm.s_tir import meta_schedule as ms

    from benchmarks.stock import load_intrinsics, quick_builder, rpc_config

    load_intrinsics(quick=order.quick)
    folder = Path(order.work_dir)
    _stamp(folder, "started", psutil.Process().create_time())
    _stamp(folder, "begun", time.time())
    model, target = Path(order.model), tvm.target.Target(order.target)
    whole = model.suffix == ".onnx"
    module = load_stock_model(model) if whole else tvm.ir.load_json(model.read_text(encoding="utf-8"))
    config = rpc_config(order.tracker_port, quick=order.quick)
    runner = ms.runner.RPCRunner(rpc_config=config, f_run_evaluator=noting_evaluator(str(folder / MEASURED)))
    parts = {"runner": runner} | ({"builder": quick_builder(), "strategy": "replay-trace"} if order.quick else {})
    with ms.Profiler() as profiler:
        if whole:
            ms.relax_integration.tune_relax(module, {}, target, order.work_dir, order.trials, **parts)
        else:
            ms.tir_integration.tune_tir(module, target, order.work_dir, order.trials, **parts)
    _stamp(folder, "ended", time.time())
    _write(folder / PROFILE, json.dumps({name: float(seconds) for name, seconds in profiler.get().items()}))


def _stamp(folder: Path, name: str, unix_s: float) -> None:
    _write(folder / f"{name}.txt", repr(unix_s))


def _write(path: Path, text: str) -> None:
    # Whole or not at all: it is read while we run.
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


if __name__ == "__main__":
    main(StockOrder(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
