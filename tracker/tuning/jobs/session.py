"""One job from its model to its package.

It talks to the tracker as any client does, and tells its worker how far it is over a pipe. It keeps
nothing that matters: killed at any moment, its successor takes the job up from the tracker's records.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import numpy as np
import tvm
import tvm_ffi

from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.client.measure_stream import MeasureStream
from tvm_farm.tracker.client.retry import until_answered
from tvm_farm.tracker.domain import (
    Artifact,
    CheckReport,
    Device,
    Job,
    JobKind,
    JobProgress,
    JobResult,
    Measurement,
    OpenMeasure,
    PackageFile,
    RecallCandidate,
    RecallRequest,
    Record,
    RecordFilter,
    RunnerMode,
    SearchStep,
    TaskPlan,
    TimingPlan,
)
from tvm_farm.tracker.tuning.building.base import Builders
from tvm_farm.tracker.tuning.building.builder import RECIPE
from tvm_farm.tracker.tuning.building.compiler_target import compiler_target
from tvm_farm.tracker.tuning.building.intrinsics import register_intrinsics
from tvm_farm.tracker.tuning.building.yielding import yield_to_others
from tvm_farm.tracker.tuning.checking.peaks import PeaksUnknown, class_peaks
from tvm_farm.tracker.tuning.engines.base import Setting
from tvm_farm.tracker.tuning.engines.choice import Choice, Chooser, trials_a_task
from tvm_farm.tracker.tuning.engines.own_templates import check_used, own_templates
from tvm_farm.tracker.tuning.engines.space import apply_trace
from tvm_farm.tracker.tuning.errors import SessionOver
from tvm_farm.tracker.tuning.jobs.estimate import estimate
from tvm_farm.tracker.tuning.jobs.resumption import take_up
from tvm_farm.tracker.tuning.judging.finals import Winner, play_finals
from tvm_farm.tracker.tuning.judging.kernel_inputs import KernelInputs, kernel_inputs
from tvm_farm.tracker.tuning.judging.kernel_verification import KernelVerdict
from tvm_farm.tracker.tuning.models.graph import ExtractedTask
from tvm_farm.tracker.tuning.models.index_ranges import FILLED_BELOW
from tvm_farm.tracker.tuning.packages.package import save_params
from tvm_farm.tracker.tuning.search.loop import Budget, TuningLoop
from tvm_farm.tracker.tuning.search.run_limits import HOPELESS
from tvm_farm.tracker.tuning.search.task_state import TaskState
from tvm_farm.tracker.tuning.search.transfer import known_to

__all__ = ["Session", "first_line"]

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Candidates of one evolution. Small, so that 30 tasks soon get a first round; building takes longer than searching.
BATCH = 8
UNTUNED_PARAMS = "untuned-params.bin"
DEFAULT_PLAN = TimingPlan(number=1, repeat=3, min_repeat_ms=10)
#: Seconds that timing a whole model may take, whatever its latency.
MODEL_TIMING_S = 4.0
_PROGRESS_EVERY_S = 0.5


def first_line(error: BaseException) -> str:
    """The last line of what ``error`` says: TVM's own first lines are where it was raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else ""


class Session:
    """A job that runs once: ``run`` blocks until its package is stored, and returns what came of it."""

    def __init__(self, client: Farm, job: Job, builders: Builders, pipe: Connection, folder: Path) -> None:
        self._client = client
        self._job = job
        self._builders = builders
        self._pipe = pipe
        self._folder = folder
        self._target = compiler_target(job.target)
        register_intrinsics(self._target)
        self._versions = {"tvm": tvm.__version__, "tvm_ffi": tvm_ffi.__version__}
        self._tuned_for_s = job.tuned_for_s
        self._last_progress = ("", 0.0)

    def run(self) -> JobResult:
        """Raises InputError or another TuningError where the job fails, SessionOver where it must be started anew."""
        job = self._job
        if job.spec.kind is JobKind.CHECK:
            return JobResult(check=self._with_peaks(self._checked()))
        extracted = self._extracted()
        if job.spec.kind is JobKind.ESTIMATE:
            return estimate(extracted, job, lambda ask: self._ask(lambda: ask(self._client)))
        self._judge()
        tasks = self._tasks(extracted)
        # Until here a person waits and a second of one core is at stake, which a busy host would stretch to a
        # minute. From here on this host may be timing what the search thinks of.
        yield_to_others()
        if job.spec.kind is JobKind.TUNE:
            self._tune(tasks)
        else:
            self._measure_untuned(tasks)
        self._report("measuring the winners again")
        winners = play_finals(
            tasks, self._best_records(tasks), self._scheduled, self._builders, self._open_stream, job.target
        )
        return self._result(winners)

    # -- tasks

    def _extracted(self) -> list[ExtractedTask]:
        """What there is to tune."""
        raise NotImplementedError

    def _checked(self) -> CheckReport:
        """What would be tuned, or what is in the way. Raises InputError where no more can be said than that."""
        raise NotImplementedError

    def _with_peaks(self, report: CheckReport) -> CheckReport:
        """``report`` and the peaks of the job's class, where it has one and its tasks could be held against them."""
        if not self._job.device_class or report.obstacles:
            return report
        self._report("asking what the class can do")
        open_stream = self._open_stream if any(map(self._takes_work, self._devices())) else None
        try:
            peaks = class_peaks(self._client, self._job, self._builders, open_stream, self._versions)
        except PeaksUnknown as error:
            return replace(report, notes=(*report.notes, str(error)))
        return replace(report, peaks=peaks)

    def _judge(self) -> None:
        """Hold what was read against what it should compute, before a board is asked for. Raises InputError."""

    def _tasks(self, extracted: Sequence[ExtractedTask]) -> list[TaskState]:
        ids = [f"{self._job.id}/{number}" for number in range(len(extracted))]
        spec = self._job.spec
        own = own_templates(
            spec.templates, self._folder, lambda *file: self._ask(partial(self._client.artifacts.get, *file))
        )
        trials = trials_a_task(spec, len(extracted))
        chooser = Chooser(spec.engine, Setting(self._target, spec.seed, tuple(own)), trials)
        before = {task.id: task.space for task in self._job.tasks}
        choices = [
            chooser.choose(task.module, task.name, before.get(task_id, ""))
            for task_id, task in zip(ids, extracted, strict=True)
        ]
        check_used(own, [choice.space for choice in choices])
        plans = tuple(
            TaskPlan(task_id, task.name, task.weight, task.workload, choice.space)
            for task_id, task, choice in zip(ids, extracted, choices, strict=True)
        )
        self._pipe.send(JobProgress(self._job.id, "finding tasks", self._tuned_for_s, plans))
        self._names = {task_id: task.name for task_id, task in zip(ids, extracted, strict=True)}
        self._modules = {task_id: task.module for task_id, task in zip(ids, extracted, strict=True)}
        self._inputs = [kernel_inputs(task.module, self._given(task.name)) for task in extracted]
        states = [
            self._state(task_id, number, task, choice)
            for number, (task_id, task, choice) in enumerate(zip(ids, extracted, choices, strict=True))
        ]
        self._take_up(states)
        return states

    def _state(self, task_id: str, number: int, task: ExtractedTask, choice: Choice) -> TaskState:
        inputs = self._inputs[number]
        return TaskState(
            id=task_id,
            name=task.name,
            weight=task.weight,
            workload=task.workload.key,
            flops=task.workload.flops,
            module=task.workload.module,
            arguments=inputs.arguments,
            params=self._params(inputs, number),
            inputs=inputs.digest,
            new_engine=partial(choice.new, self._job.spec.seed * 1009 + number),
            engine_name=choice.engine,
            known_elsewhere=partial(self._ask, partial(known_to, self._client, self._job, task.workload.key)),
        )

    def _given(self, name: str) -> Mapping[int, np.ndarray]:
        """What a person gave for arguments of this task, by position."""
        return {}

    def _params(self, inputs: KernelInputs, number: int) -> Artifact | None:
        """The file with the large ones of a task's inputs, sent; None where there are none."""
        if not (params := inputs.params):
            return None
        path = self._folder / f"inputs-{number}.bin"
        save_params(params, path)
        return self._ask(lambda: self._client.artifacts.put(path))

    def _take_up(self, states: Sequence[TaskState]) -> None:
        """Go on where the job's records end."""
        job_id = self._job.id
        records = self._ask(lambda: list(self._client.log.records(RecordFilter(job_id=job_id))))
        past = self._ask(lambda: list(self._client.work.searches(job_id)))
        theirs = past[0].job_id if past else job_id
        whose = self._job if theirs == job_id else self._ask(lambda: self._client.jobs.get(theirs))
        self._script = take_up(states, job_id, records, past, [task.workload for task in whose.tasks])

    # -- tuning

    def _tune(self, tasks: list[TaskState]) -> None:
        spec = self._job.spec
        # Of a job that ended, a compaction may have removed records, which counted when it was told how far to go.
        gone = max(0, self._job.trials - sum(len(task.history) for task in tasks))
        self._loop(tasks, Budget(max(1, spec.max_trials - gone) if spec.max_trials else 0, spec.budget_s))

    def _measure_untuned(self, tasks: list[TaskState]) -> None:
        for task in tasks:
            task.exhausted = True
        self._loop(tasks, Budget(0, 0))

    def _loop(self, tasks: list[TaskState], budget: Budget) -> None:
        loop = TuningLoop(
            tasks,
            self._builders,
            self._open_stream,
            budget,
            target=self._job.target,
            plan=self._job.spec.plan or DEFAULT_PLAN,
            batch=BATCH,
            versions={**self._versions, "build": RECIPE},
            tuned_for_s=self._tuned_for_s,
            on_progress=self._report,
            recall=self._recall,
            script=self._script if self._job.spec.kind is JobKind.TUNE else None,
        )
        loop.run()
        self._tuned_for_s = loop.tuned_for_s

    def _recall(
        self, plan: TimingPlan, candidates: Sequence[RecallCandidate], step: SearchStep | None
    ) -> list[Measurement]:
        """What the log has of ``candidates``; the tracker keeps ``step`` with the job."""
        request = RecallRequest(self._job.id, "", plan, tuple(candidates), HOPELESS, step)
        try:
            return self._ask(lambda: self._client.work.recall(request))
        except BadInput as error:
            # It was cancelled, or another worker ended it.
            raise SessionOver(error.message) from error

    def _best_records(self, tasks: Sequence[TaskState]) -> dict[str, list[Record]]:
        keys = sorted({task.workload for task in tasks})
        found: dict[str, list[Record]] = {}
        for record in self._ask(
            lambda: self._client.log.best(
                keys, device_class=self._job.device_class, target=self._job.target, per_workload=16
            )
        ):
            found.setdefault(record.workload, []).append(record)
        return found

    def _scheduled(self, task: TaskState, trace: str) -> str | None:
        try:
            return str(tvm.ir.save_json(apply_trace(self._modules[task.id], trace).mod))
        except Exception:
            log.exception("a trace of %s does not apply", task.name)
            return None

    def _result(self, winners: Sequence[Winner]) -> JobResult:
        """The package, compared, timed and stored."""
        raise NotImplementedError

    # -- the result

    def _refute_wrong(self, kernels: Sequence[KernelVerdict]) -> None:
        for kernel in kernels:
            # An untuned kernel has no record that a search would learn from.
            if kernel.wrong and kernel.winner.trial_id:
                self._ask(partial(self._client.log.refute, kernel.winner.trial_id, kernel.difference))

    def _unproven(self) -> list[str]:
        """What must be said of integers that index something, where nobody knows how far."""
        named = [
            (name, self._modules[task_id]["main"].params[at].name)
            for (task_id, name), inputs in zip(self._names.items(), self._inputs, strict=True)
            for at in inputs.unproven
        ]
        return [
            f"what {argument} of {name} may be could not be derived: its values were 0 to {FILLED_BELOW - 1}"
            for name, argument in named
        ]

    def _with_teachers(self, result: JobResult, winners: Sequence[Winner]) -> JobResult:
        taught = [winner.task.taught_by for winner in winners if winner.task.taught_by]
        return replace(result, taught_by=tuple(sorted(frozenset().union(*taught))), taught_tasks=len(taught))

    def _stored(self, files: Sequence[Path]) -> list[PackageFile]:
        return [PackageFile(path.name, self._ask(partial(self._client.artifacts.put, path))) for path in files]

    def _devices(self, mode: RunnerMode | None = None) -> list[Device]:
        """Of this job's class, connected or not; None: in whichever mode."""
        devices = self._ask(lambda: self._client.devices.list(self._job.spec.pool))
        mine = [device for device in devices if device.device_class == self._job.device_class]
        return [device for device in mine if mode in (None, device.runner.mode)]

    def _idlest_device(self, mode: RunnerMode) -> str:
        connected = [device for device in self._devices(mode) if self._takes_work(device)]
        self._report("verifying" if connected else "waiting for a device to verify on")
        return min(connected, key=lambda device: (bool(device.ailing), device.held)).id if connected else ""

    def _takes_work(self, device: Device) -> bool:
        return device.takes_trials and device.open_to(self._job.spec.user)

    # -- the tracker

    def _open_stream(
        self, sink: Callable[[object], None], whole_models: bool = False, device_id: str = ""
    ) -> MeasureStream:
        opening = OpenMeasure(
            client=f"job {self._job.id}",
            job_id=self._job.id,
            pool=self._job.spec.pool,
            device_class=self._job.device_class,
            whole_models=whole_models,
            device_id=device_id,
        )
        return self._client.measuring.open(sink, opening)

    def _ask(self, call: Callable[[], T]) -> T:
        """It may be restarting or its disk full, and the job outlives both."""
        return until_answered(call)

    def _report(self, phase: str, tuned_for_s: float | None = None) -> None:
        if tuned_for_s is not None:
            self._tuned_for_s = tuned_for_s
        before, at = self._last_progress
        now = time.monotonic()
        if phase != before or now - at >= _PROGRESS_EVERY_S:
            self._last_progress = (phase, now)
            self._pipe.send(JobProgress(self._job.id, phase, self._tuned_for_s))
