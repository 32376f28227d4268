"""One job from a model's file to its package, judged by the reference implementation of its format."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import tvm

from tracker.domain import CheckReport, JobResult, Obstacle, RunnerMode, TimingPlan
from tracker.tuning.building.builder import build_model, for_schedules
from tracker.tuning.checking.report import model_report, surveyed
from tracker.tuning.errors import InputError
from tracker.tuning.finals import Winner
from tracker.tuning.judging.comparison import compare
from tracker.tuning.judging.inputs import given_inputs, random_inputs
from tracker.tuning.judging.package_run import PackageFault, check_package, run_package
from tracker.tuning.judging.reference import Reference, check_import, reference_of, tolerance_of
from tracker.tuning.judging.untuned import answers_on_host, is_host
from tracker.tuning.kernel_verification import KernelVerdict, verify_kernels
from tracker.tuning.measuring import MeasureStream
from tracker.tuning.models.graph import ExtractedTask, LoweredModel, lower, tasks_of, with_schedules
from tracker.tuning.models.importers import ImportedModel, load_model, survey_model
from tracker.tuning.models.package import LIBRARY, PARAMS, save_params, write_package
from tracker.tuning.result import job_result, latency_of
from tracker.tuning.session import Session, first_line
from tracker.tuning.verification import LARGEST_INLINE_BYTES, Verdict, artifact_of, model_request, verify

__all__ = ["ModelSession"]

#: Parameters of the two contenders as a device gets them; PARAMS is the package's.
UNTUNED_PARAMS, TUNED_PARAMS = "untuned-params.bin", "tuned-params.bin"
#: Seconds that timing a whole model may take, whatever its latency.
MODEL_TIMING_S = 4.0


@dataclass(frozen=True)
class _Contender:
    """A whole model as it could be shipped: ``params`` names the file of its parameters in the job's folder."""

    library: bytes
    lowered: LoweredModel
    params: str


class ModelSession(Session):
    """As ``Session``: the tasks are a model's, and the package is the model."""

    _model: ImportedModel
    _lowered: LoweredModel
    _reference: Reference

    def _extracted(self) -> list[ExtractedTask]:
        self._report("importing the model")
        path, spec = self._fetched(), self._job.spec
        self._model = load_model(path, {s.name: s.dims for s in spec.shapes}, spec.model_name)
        return self._tasks_of_model()

    def _tasks_of_model(self) -> list[ExtractedTask]:
        self._lowered = self._lower(self._model)
        extracted = tasks_of(self._lowered, self._target)
        if not extracted:
            raise InputError(f"{self._job.spec.model_name} has no operator that could be tuned.")
        return extracted

    def _fetched(self) -> Path:
        """The model's file, those that belong to it beside it."""
        spec = self._job.spec
        # A folder of its own: a model names the files beside it as it likes.
        folder = self._folder / "model"
        folder.mkdir(exist_ok=True)
        path = folder / "model"
        self._patiently(lambda: self._client.get_artifact(spec.model, path))
        for file in spec.data:
            self._patiently(partial(self._client.get_artifact, file.content, _inside(folder, file.name)))
        return path

    def _lower(self, model: ImportedModel) -> LoweredModel:
        self._report("finding tasks")
        try:
            return lower(model.module, self._target)
        except Exception as error:
            raise InputError(
                f"{self._job.spec.model_name} cannot be compiled by TVM {tvm.__version__} for this target: "
                f"{first_line(error)}"
            ) from error

    def _checked(self) -> CheckReport:
        self._report("importing the model")
        path, spec = self._fetched(), self._job.spec
        survey, model = survey_model(path, {s.name: s.dims for s in spec.shapes}, spec.model_name)
        if model is None:
            return surveyed(survey, survey.obstacles)
        self._model = model
        try:
            tasks = self._tasks_of_model()
            self._judge()
        except InputError as error:
            return surveyed(survey, [Obstacle("", "", str(error).rstrip("."))])
        return model_report(survey, self._lowered, tasks, self._reference.judge)

    # -- the judge

    def _judge(self) -> None:
        spec, model = self._job.spec, self._model
        self._report("checking the import")
        if spec.inputs is not None:
            path = self._folder / "inputs.npz"
            self._patiently(partial(self._client.get_artifact, spec.inputs, path))
            inputs, told = given_inputs(path, model.inputs, "the file of --inputs"), "the inputs given"
        else:
            inputs, told = random_inputs(model.inputs, spec.seed, model.bounds), f"random inputs, seed {spec.seed}"
        self._reference = reference_of(model, inputs, told)
        check_import(model, self._reference, answers_on_host, spec.model_name)

    # -- the result

    def _result(self, winners: Sequence[Winner]) -> JobResult:
        kernels = self._verify_kernels(winners)
        judged = {kernel.winner.task.id: kernel.shipped for kernel in kernels}
        return self._package([judged.get(w.task.id, w) for w in winners], kernels)

    def _verify_kernels(self, winners: Sequence[Winner]) -> list[KernelVerdict]:
        """Verdicts on the winners where no whole model can be compared; what is wrong is so in the log from then on."""
        if not self._devices(RunnerMode.MICRO):
            return []
        self._report("verifying")
        open_stream = self._open_stream
        kernels = verify_kernels(
            winners,
            self._scheduled,
            self._builders,
            partial(self._idlest_device, RunnerMode.MICRO),
            lambda sink, device_id: open_stream(sink, device_id=device_id),
            self._job.target,
        )
        self._refute_wrong(kernels)
        return kernels

    def _package(self, winners: Sequence[Winner], kernels: Sequence[KernelVerdict]) -> JobResult:
        job, model = self._job, self._model
        self._report("packaging")
        schedules = {winner.task.workload: winner.trace for winner in winners if winner.trace}
        # The model as it was written and as TVM compiles it untuned: what tuning is worth is told against that, and
        # comparing answers with it judges the change of layout as well.
        reference = lower(model.module, self._target, as_written=True)
        untuned = _Contender(build_model(reference.module, self._target), reference, UNTUNED_PARAMS)
        scheduled = with_schedules(self._lowered.module, self._target, schedules)
        target = tvm.target.Target(for_schedules(job.target))
        tuned = _Contender(build_model(scheduled, target), self._lowered, TUNED_PARAMS)
        self._report("verifying")
        verdict = self._verify(untuned, tuned, winners)
        shipped = untuned if isinstance(verdict, Verdict) and verdict.keep_untuned else tuned
        folder = Path(tempfile.mkdtemp(prefix="package-", dir=self._folder))
        save_params(shipped.lowered.params, folder / PARAMS)
        files = write_package(
            folder,
            shipped.library,
            name=job.spec.model_name,
            model=model,
            params=list(shipped.lowered.params),
            target=job.target,
            device_class=job.device_class,
            versions=self._versions,
            latency=latency_of(verdict, kernels),
            reference=self._reference,
        )
        note = self._prove(folder)
        result = job_result(winners, verdict, self._stored(files), kernels, self._told(note))
        judged = replace(result, judge=self._reference.judge, inputs_from=self._reference.inputs_from, proven=not note)
        return self._with_teachers(judged, winners)

    def _told(self, note: str) -> list[str]:
        """What a person must know besides."""
        unjudged = [] if self._reference.judge else [f"nobody could judge the import: {self._reference.why}"]
        return [*self._model.notes, *unjudged, *([note] if note else [])]

    def _prove(self, folder: Path) -> str:
        """The package as a person will use it. Returns why it was not run whole, "" where it was.

        Raises PackageFault where it does not load, does not run, or answers differently than the judge.
        """
        self._report("proving the package")
        if not is_host(self._job.target):
            check_package(folder)
            return "the package was not run on the tuning worker, which is no such machine: its files load"
        model, reference = self._model, self._reference
        answers = run_package(folder, reference.inputs, [info.name for info in model.inputs], model.outputs)
        if reference.expected is not None:
            names = [output.name for output in model.outputs]
            found = compare(reference.expected, answers, tolerance_of(model), names)
            if not found.equal:
                raise PackageFault(f"the package answers differently than {reference.judge}: {found.wrong}")
        return ""

    def _verify(self, untuned: _Contender, tuned: _Contender, winners: Sequence[Winner]) -> Verdict | str:
        """The verdict, or why none is possible on this class of device."""
        if not self._devices(RunnerMode.FULL):
            return "no device of this class has TVM's runtime, which whole models need"
        inputs = self._reference.inputs
        large = {
            f"input {number}": tvm.runtime.tensor(array)
            for number, array in enumerate(inputs)
            if array.nbytes > LARGEST_INLINE_BYTES
        }
        requests = []
        for contender, latencies in ((untuned, [w.untuned_s for w in winners]), (tuned, [w.tuned_s for w in winners])):
            path = self._folder / LIBRARY
            path.write_bytes(contender.library)
            save_params({**contender.lowered.params, **large}, self._folder / contender.params)
            self._patiently(partial(self._client.put_artifact, self._folder / contender.params))
            params = artifact_of(self._folder / contender.params, inline=False)
            values = {name: (tuple(map(int, t.shape)), str(t.dtype)) for name, t in contender.lowered.params.items()}
            expected_s = sum(w.task.weight * s for w, s in zip(winners, latencies, strict=True))
            repeat = max(3, min(20, int(MODEL_TIMING_S / max(expected_s, 1e-6))))
            plan = TimingPlan(number=1, repeat=repeat, min_repeat_ms=10)
            requests.append(model_request(artifact_of(path, inline=True), params, values, inputs, plan, expected_s))
        return verify(
            requests[0],
            requests[1],
            partial(self._idlest_device, RunnerMode.FULL),
            self._open_model_stream,
            self._reference,
            tolerance_of(self._model),
            [output.name for output in self._model.outputs],
        )

    def _open_model_stream(self, sink: Callable[[object], None], device_id: str) -> MeasureStream:
        return self._open_stream(sink, whole_models=True, device_id=device_id)


def _inside(folder: Path, name: str) -> Path:
    """Where a file beside the model goes. Raises InputError for a name that leaves the folder."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InputError(f"the data file {name!r} is outside of the model's folder.")
    found = folder / path
    found.parent.mkdir(parents=True, exist_ok=True)
    return found
