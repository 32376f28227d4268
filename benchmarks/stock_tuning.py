"""Stock TVM's tuning in a process of its own: ``python -m benchmarks.stock_tuning ORDER.json``.

The order names the model, the target, the RPC tracker, the working folder and the trials; everything
else is the default of ``tune_tir`` and ``tune_relax`` in TVM 0.27: rounds of 64 trials, LocalBuilder with
one worker a physical core, XGBoost cost model, evolutionary search with a population of 512, gradient task
scheduler, JSON database, and for the runner EvaluatorConfig(number=3, repeat=1, min_repeat_ms=100).

In the working folder ``begun.txt`` holds the Unix time at which TVM was loaded and the work began, ``ended.txt``
that of its end, ``profile.json`` what MetaSchedule's own profiler had counted after the last round, in seconds:
the one addition to the defaults is a measure callback that writes it.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["DATABASE", "PROFILE", "StockOrder", "load_stock_model", "trial_lines"]

DATABASE = "database_tuning_record.json"
PROFILE = "profile.json"


@dataclass(frozen=True)
class StockOrder:
    """``model``: an ONNX file for ``tune_relax``, or a module as ``tvm.ir.save_json`` writes it for ``tune_tir``."""

    model: str
    target: str
    tracker_port: int
    work_dir: str
    trials: int

    def arguments(self) -> list[str]:
        """Write the order into its folder; returns how to run it."""
        folder = Path(self.work_dir)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "order.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return ["-m", "benchmarks.stock_tuning", str(path)]

    def stamp(self, name: str) -> float | None:
        """Unix seconds of ``begun`` or ``ended``; None where it is not that far."""
        path = Path(self.work_dir, f"{name}.txt")
        return float(path.read_text(encoding="utf-8")) if path.exists() else None


def load_stock_model(path: Path):  # type: ignore[no-untyped-def]  # tvm has no types
    """An ONNX file as TVM's tutorials take it: imported, then through the ``zero`` pipeline. -> IRModule."""
    import onnx
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    return relax.get_pipeline("zero")(from_onnx(onnx.load(path)))


def trial_lines(folder: Path) -> int:
    """Trials in a JSON database that is being written: its whole lines."""
    try:
        return (folder / DATABASE).read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def main(order: StockOrder) -> None:
    import tvm
    import tvm.s_tir.tensor_intrin
    from tvm.ir.utils import derived_object
    from tvm.s_tir import meta_schedule as ms

    from benchmarks.stock import KEY

    folder = Path(order.work_dir)
    begun_s = _stamp(folder, "begun")

    @derived_object
    class Watch(ms.measure_callback.PyMeasureCallback):  # type: ignore[misc]
        """Writes down where the time went, after each round: the process is killed in the end."""

        def apply(self, *_: object) -> None:
            spent = {name: float(seconds) for name, seconds in profiler.get().items()}
            _write(folder / PROFILE, json.dumps({**spent, "seconds": time.time() - begun_s}))

    model, target = Path(order.model), tvm.target.Target(order.target)
    whole = model.suffix == ".onnx"
    module = load_stock_model(model) if whole else tvm.ir.load_json(model.read_text(encoding="utf-8"))
    config = ms.runner.RPCConfig(tracker_host="127.0.0.1", tracker_port=order.tracker_port, tracker_key=KEY)
    options = {
        "runner": ms.runner.RPCRunner(rpc_config=config),
        "measure_callbacks": [*ms.measure_callback.MeasureCallback.create("default"), Watch()],
    }
    with ms.Profiler() as profiler:
        if whole:
            ms.relax_integration.tune_relax(module, {}, target, order.work_dir, order.trials, **options)
        else:
            ms.tir_integration.tune_tir(module, target, order.work_dir, order.trials, **options)
    _stamp(folder, "ended")


def _stamp(folder: Path, name: str) -> float:
    now_s = time.time()
    _write(folder / f"{name}.txt", str(now_s))
    return now_s


def _write(path: Path, text: str) -> None:
    # Whole or not at all: it is read while we run.
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


if __name__ == "__main__":
    main(StockOrder(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
