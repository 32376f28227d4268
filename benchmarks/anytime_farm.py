"""The farm's side of the benchmark anytime."""

from __future__ import annotations

import json
import statistics
import uuid
from collections.abc import Sequence
from pathlib import Path

import tvm

from benchmarks.curves import Trial, best_until, latency_curve
from benchmarks.farm import LocalFarm
from benchmarks.machine import host_target
from benchmarks.model_timing import TimedModel
from tvm_farm.tracker.domain import Job, JobKind, JobSpec, JobState, RecordFilter
from tvm_farm.tracker.domain.job_timeline import Step
from tvm_farm.tracker.tuning.building.builder import build_model, for_schedules
from tvm_farm.tracker.tuning.models.graph import lower, with_schedules
from tvm_farm.tracker.tuning.models.importers import load_model
from tvm_farm.tracker.tuning.packages.package import LIBRARY, MANIFEST, PARAMS, save_params

__all__ = ["FarmSide"]


class FarmSide:
    """A tune of ``model``, its trials, and the model as it stood at any time."""

    def __init__(self, model: Path, folder: Path) -> None:
        self._model = model
        self._folder = folder
        self._trials: list[Trial] = []
        self._weights: dict[str, int] = {}
        self._untuned_s: dict[str, float] = {}
        self.rate = 0.0
        #: Seconds from the job's start to its last trial's record.
        self.seconds = 0.0
        #: By step of a trial: the share of the tuning time in which any trial was in it.
        self.shares: dict[str, float] = {}

    def tune(self, farm: LocalFarm, *, budget_s: float = 0.0, trials: int = 0) -> None:
        """A job of so many seconds, or so many trials, and its package. Raises RuntimeError when it fails."""
        client = farm.client
        spec = JobSpec(
            kind=JobKind.TUNE,
            model_name="squeezenet",
            model=client.artifacts.put(self._model),
            pool=farm.devices()[0].pools[0],
            budget_s=budget_s,
            max_trials=trials,
        )
        job: Job = client.jobs.submit(spec, uuid.uuid4().hex)
        for latest in client.jobs.watch(job.id):
            job = latest
        if job.state is not JobState.DONE or job.result is None:
            raise RuntimeError(f"the farm's job {job.id} is {job.state.value}: {job.error}")
        for record in client.log.records(RecordFilter(job_id=job.id)):
            if not record.is_baseline:
                run_secs = record.measurement.run_secs
                at_s = record.measurement.timeline.stored_s - job.started_unix_s
                seconds = statistics.median(run_secs) if run_secs else None
                self._trials.append(Trial(at_s, record.workload, seconds, record.trace))
        self._weights = {task.workload: task.weight for task in job.tasks}
        self._untuned_s = {task.workload: task.untuned_s for task in job.tasks}
        self.seconds = max((trial.at_s for trial in self._trials), default=0.0)
        until_s = budget_s or self.seconds
        self.rate = sum(trial.at_s <= until_s for trial in self._trials) / until_s
        timeline = client.jobs.timeline(job.id)
        spent = {step.step: step.wall_s / timeline.tuning_s for step in timeline.steps}
        steps = {"search": Step.SEARCH, "build": Step.BUILD, "device": Step.DEVICE}
        self.shares = {name: min(1.0, spent.get(step, 0.0)) for name, step in steps.items()}
        for file in job.result.files:
            client.artifacts.get(file.content, self._folder / f"package-{file.name}")

    def curve(self, until_s: float) -> list[tuple[float, float]]:
        return latency_curve(self._trials, self._weights, self._untuned_s, until_s)

    def models(self, points: Sequence[float]) -> list[TimedModel]:
        """``farm 0`` (untuned), ``farm 30``, … compiled from the trials answered by then, and ``package``."""
        target = tvm.target.Target(host_target())
        schedules_target = tvm.target.Target(for_schedules(host_target()))
        module = load_model(self._model, {}, "squeezenet").module
        written, lowered = lower(module, target, as_written=True), lower(module, target)
        params, written_params = self._folder / "farm-params.bin", self._folder / "farm-0-params.bin"
        save_params(lowered.params, params)
        save_params(written.params, written_params)
        library = self._folder / "farm-0.so"
        library.write_bytes(build_model(written.module, target))
        models = [TimedModel("farm 0", str(library), str(written_params), tuple(written.params))]
        for point in points:
            best = best_until(self._trials, point)
            traces = {key: trial.trace for key, trial in best.items() if (trial.seconds or 0.0) < self._untuned_s[key]}
            library = self._folder / f"farm-{point:.0f}.so"
            library.write_bytes(build_model(with_schedules(lowered.module, target, traces), schedules_target))
            models.append(TimedModel(f"farm {point:.0f}", str(library), str(params), tuple(lowered.params)))
        library, params = (self._folder / f"package-{name}" for name in (LIBRARY, PARAMS))
        names = json.loads((self._folder / f"package-{MANIFEST}").read_text())["param_names"]
        return [*models, TimedModel("package", str(library), str(params), tuple(names))]
