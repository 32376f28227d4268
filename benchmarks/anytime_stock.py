"""Stock TVM's side of the benchmark anytime."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import tvm
from tvm.s_tir import meta_schedule as ms

from benchmarks.curves import Trial, latency_curve
from benchmarks.farm import LocalFarm
from benchmarks.machine import host_target
from benchmarks.model_timing import TimedModel
from benchmarks.stock_database import applied, read_trials
from benchmarks.stock_tuning import PROFILE, StockOrder, load_stock_model, measured_at
from tvm_farm.protos.measurement import Argument, Artifact, Limits, Measurement, MeasureRequest, Program, ProgramKind
from tvm_farm.tracker.tuning.building.builder import build_kernel, build_model
from tvm_farm.tracker.tuning.models.graph import workload_key
from tvm_farm.tracker.tuning.search.run_limits import UNTUNED_PLAN
from tvm_farm.tracker.tuning.search.task_state import median

__all__ = ["StockSide"]


class StockSide:
    """What ``tune_relax`` made of ``model``, its trials, and the model as it stood at any time."""

    def __init__(self, model: Path, folder: Path) -> None:
        self._model = model
        self._folder = folder
        self._work_dir = folder
        self._weights: dict[str, int] = {}
        self._untuned_s: dict[str, float] = {}
        self._trials: list[Trial] = []
        self.seconds = 0.0
        self.rate = 0.0
        #: By step: the share of the time in which MetaSchedule's one thread waited for it; the rest is search.
        self.shares: dict[str, float] = {}

    def measure_untuned(self, farm: LocalFarm) -> None:
        """What each of its tasks costs untuned, timed as the farm times its own. RuntimeError where one fails."""
        target = tvm.target.Target(host_target())
        requests = []
        for task in ms.relax_integration.extract_tasks(load_stock_model(self._model), target):
            module = task.dispatched[0]
            key = workload_key(module)
            self._weights[key] = int(task.weight)
            library, *_ = build_kernel(tvm.ir.save_json(module), host_target())
            arguments = tuple(
                Argument(tuple(int(size) for size in info.shape), str(info.dtype), fill_seed=number)
                for number, info in enumerate(ms.arg_info.ArgInfo.from_entry_func(module, remove_preproc=False))
            )
            artifact = Artifact(hashlib.sha256(library).hexdigest(), len(library), library)
            program = Program(ProgramKind.KERNEL, artifact, "main", arguments)
            requests.append(MeasureRequest(key, program, UNTUNED_PLAN, Limits(run_timeout_s=60.0)))
        for answer in farm.client.measuring.measure(requests, client="benchmark", pool=farm.devices()[0].pools[0]):
            if isinstance(answer, Measurement):
                if not answer.run_secs:
                    raise RuntimeError(f"an untuned task could not be measured: {answer.outcome} {answer.detail}")
                self._untuned_s[answer.trial_id] = median(answer.run_secs)

    def take(self, order: StockOrder) -> None:
        """What came of ``tune_relax`` on the model."""
        self._work_dir = order.folder
        begun_s = order.stamp("begun") or 0.0
        measured = [(at_s - begun_s, seconds) for at_s, seconds in measured_at(order.folder)]
        self._trials = read_trials(order.folder, measured)
        self.seconds = order.seconds()
        self.rate = order.recorded() / self.seconds
        spent = json.loads((order.folder / PROFILE).read_text(encoding="utf-8"))
        build_s, measure_s = spent["SendToBuilder"], spent["SendToRunner"] + spent["JoinRunnerFutures"]
        steps = {"search": self.seconds - build_s - measure_s, "build": build_s, "device": measure_s}
        self.shares = {name: each / self.seconds for name, each in steps.items()}

    def curve(self, until_s: float) -> list[tuple[float, float]]:
        return latency_curve(self._trials, self._weights, self._untuned_s, until_s)

    def models(self, points: Sequence[float]) -> list[TimedModel]:
        """``stock 0`` (untuned), ``stock 30``, … compiled from the trials measured by then."""
        target = tvm.target.Target(host_target())
        untuned = load_stock_model(self._model)
        models = []
        for point in (0.0, *points):
            module = applied(untuned, target, self._work_dir, self._trials, point)
            library = self._folder / f"stock-{point:.0f}.so"
            library.write_bytes(build_model(module, target))
            models.append(TimedModel(f"stock {point:.0f}", str(library)))
        return models
