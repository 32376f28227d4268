"""One job from a model's file to its package, judged by the reference implementation of its format."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import tvm

from tvm_farm.tracker.client.measure_stream import MeasureStream
from tvm_farm.tracker.domain import BucketResult, CheckReport, JobResult, RunnerMode, TimingPlan
from tvm_farm.tracker.domain.job import shape_sets
from tvm_farm.tracker.tuning.building.builder import build_model, for_schedules
from tvm_farm.tracker.tuning.checking.report import model_report, surveyed
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.jobs.result import job_result, latency_of
from tvm_farm.tracker.tuning.jobs.session import Session, first_line
from tvm_farm.tracker.tuning.judging.answer_size import check_answer_size
from tvm_farm.tracker.tuning.judging.comparison import compare
from tvm_farm.tracker.tuning.judging.finals import Winner
from tvm_farm.tracker.tuning.judging.inputs import given_inputs, random_inputs
from tvm_farm.tracker.tuning.judging.kernel_verification import KernelVerdict, verify_kernels
from tvm_farm.tracker.tuning.judging.model_verification import (
    Verdict,
    artifact_of,
    model_request,
    uploaded_inputs,
    verify,
)
from tvm_farm.tracker.tuning.judging.reference import Reference, check_import, reference_of, tolerance_of
from tvm_farm.tracker.tuning.models.graph import ExtractedTask, LoweredModel, lower, tasks_of, with_schedules
from tvm_farm.tracker.tuning.models.importers import ImportedModel, load_model, survey_model
from tvm_farm.tracker.tuning.models.importers.survey import outlines_of
from tvm_farm.tracker.tuning.packages.package import LIBRARY, Variant, save_params, write_package
from tvm_farm.tracker.tuning.packages.package_run import PackageFault, check_package, run_package
from tvm_farm.tracker.tuning.packages.padding import PaddedCase, Padding, padding_of
from tvm_farm.tracker.tuning.packages.untuned import answers_on_host, is_host

__all__ = ["ModelSession"]

#: Parameters of the two contenders as a device gets them.
UNTUNED_PARAMS, TUNED_PARAMS = "untuned-params.bin", "tuned-params.bin"
#: Seconds that timing a whole model may take, whatever its latency.
MODEL_TIMING_S = 4.0


@dataclass(frozen=True)
class _Bucket:
    """One of the shapes that the package takes, in words, and the model for it."""

    shapes: str
    model: ImportedModel
    lowered: LoweredModel
    tasks: tuple[ExtractedTask, ...]


@dataclass(frozen=True)
class _Contender:
    """A whole model as it could be shipped: ``params`` names the file of its parameters in the job's folder."""

    library: bytes
    lowered: LoweredModel
    params: str


class ModelSession(Session):
    """As ``Session``: the tasks are a model's, and the package is the model, for each shape that was asked for."""

    _buckets: list[_Bucket]
    _references: list[Reference]
    _padding: Padding | None = None

    def _extracted(self) -> list[ExtractedTask]:
        self._report("importing the model")
        path, spec = self._fetched(), self._job.spec
        fixed = self._fixed()
        return self._tasks_of([load_model(path, shapes, spec.model_name, fixed) for shapes in shape_sets(spec.shapes)])

    def _fixed(self) -> dict[str, np.ndarray]:
        """Values of inputs that a person fixed."""
        return {each.name: np.array(json.loads(each.value)) for each in self._job.spec.fixed}

    def _tasks_of(self, models: Sequence[ImportedModel]) -> list[ExtractedTask]:
        """``models``: one for each shape."""
        for model in models:
            check_answer_size(model.outputs, self._job.spec.model_name)
        self._report("finding tasks")
        buckets = map(self._bucket, models)
        self._buckets = sorted(buckets, key=lambda bucket: sum(math.prod(info.shape) for info in bucket.model.inputs))
        extracted = _merged(task for bucket in self._buckets for task in bucket.tasks)
        if not extracted:
            raise InputError(_nothing_to_tune(self._job.spec.model_name, self._buckets[-1].model))
        return extracted

    def _fetched(self) -> Path:
        """The model's file, those that belong to it beside it."""
        spec = self._job.spec
        # A folder of its own: a model names the files beside it as it likes.
        folder = self._folder / "model"
        folder.mkdir(exist_ok=True)
        path = folder / "model"
        self._ask(lambda: self._client.artifacts.get(spec.model, path))
        for file in spec.data:
            self._ask(partial(self._client.artifacts.get, file.content, _inside(folder, file.name)))
        return path

    def _bucket(self, model: ImportedModel) -> _Bucket:
        try:
            lowered = lower(model.module, self._target)
        except Exception as error:
            raise InputError(
                f"{self._job.spec.model_name} cannot be compiled by TVM {tvm.__version__} for this target: "
                f"{first_line(error)}"
            ) from error
        told = _in_words(model, [info.shape for info in model.inputs])
        return _Bucket(told, model, lowered, tuple(tasks_of(lowered, self._target)))

    def _checked(self) -> CheckReport:
        self._report("importing the model")
        path, spec = self._fetched(), self._job.spec
        looked = [survey_model(path, shapes, spec.model_name, self._fixed()) for shapes in shape_sets(spec.shapes)]
        surveys, models = [survey for survey, _ in looked], [model for _, model in looked if model is not None]
        if len(models) < len(looked):
            return surveyed(surveys)
        try:
            tasks = self._tasks_of(models)
            self._judge()
        except InputError as error:
            return surveyed(surveys, str(error))
        largest = self._buckets[-1]
        survey = next(survey for survey, model in looked if model is largest.model)
        survey.outputs = outlines_of(largest.model.outputs)  # some may be cut off
        report = model_report(survey, largest.lowered, tasks, self._references[-1].judge)
        notes = list(largest.model.notes)
        if len(models) > 1:
            all_shapes = "; ".join(bucket.shapes for bucket in self._buckets)
            notes.append(f"Tasks, calls and arithmetic are of all shapes, each once: {all_shapes}.")
            notes.append("All else is of the largest.")
        return replace(report, notes=tuple(notes))

    # -- the judge

    def _judge(self) -> None:
        self._report("checking the import")
        self._references = [self._reference_of(bucket.model) for bucket in self._buckets]
        for bucket, reference in zip(self._buckets, self._references, strict=True):
            check_import(bucket.model, reference, answers_on_host, self._job.spec.model_name)
        models = [bucket.model for bucket in self._buckets]
        if len(models) > 1 and all(reference.judge for reference in self._references):
            self._padding = padding_of(models, answers_on_host, self._job.spec.seed)

    def _reference_of(self, model: ImportedModel) -> Reference:
        spec = self._job.spec
        if spec.inputs is not None:
            path = self._folder / "inputs.npz"
            self._ask(partial(self._client.artifacts.get, spec.inputs, path))
            return reference_of(model, given_inputs(path, model.inputs, "the file of --inputs"), "the inputs given")
        inputs = random_inputs(model.inputs, spec.seed, model.bounds)
        return reference_of(model, inputs, f"random inputs, seed {spec.seed}")

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
        job = self._job
        schedules = {winner.task.workload: winner.trace for winner in winners if winner.trace}
        shipped = [
            self._shipped(bucket, reference, schedules, winners, kernels)
            for bucket, reference in zip(self._buckets, self._references, strict=True)
        ]
        folder = Path(tempfile.mkdtemp(prefix="package-", dir=self._folder))
        files = write_package(
            folder,
            [variant for variant, _ in shipped],
            name=job.spec.model_name,
            source=job.spec.model.digest,
            target=job.target,
            device_class=job.device_class,
            versions=self._versions,
            padding=self._padding.manifest if self._padding else None,
            fixed={each.name: json.loads(each.value) for each in job.spec.fixed},
        )
        note = self._prove(folder)
        verdicts = [verdict for _, verdict in shipped]
        reference = self._references[-1]
        result = job_result(winners, verdicts[-1], self._stored(files), kernels, self._told(note))
        judged = replace(
            result,
            judge=reference.judge,
            inputs_from=reference.inputs_from,
            proven=not note,
            buckets=self._bucket_results(verdicts),
        )
        return self._with_teachers(judged, winners)

    def _shipped(
        self,
        bucket: _Bucket,
        reference: Reference,
        schedules: Mapping[str, str],
        winners: Sequence[Winner],
        kernels: Sequence[KernelVerdict],
    ) -> tuple[Variant, Verdict | str]:
        """The model for one shape as it goes into the package."""
        self._report("packaging")
        # The model as it was written and as TVM compiles it untuned: what tuning is worth is told against that, and
        # comparing answers with it judges the change of layout as well.
        written = lower(bucket.model.module, self._target, as_written=True)
        untuned = _Contender(build_model(written.module, self._target), written, UNTUNED_PARAMS)
        scheduled = with_schedules(bucket.lowered.module, self._target, schedules)
        target = tvm.target.Target(for_schedules(self._job.target))
        tuned = _Contender(build_model(scheduled, target), bucket.lowered, TUNED_PARAMS)
        self._report("verifying")
        verdict = self._verify(bucket, reference, untuned, tuned, winners)
        shipped = untuned if isinstance(verdict, Verdict) and verdict.keep_untuned else tuned
        latency = latency_of(verdict, kernels)
        return Variant(shipped.library, shipped.lowered.params, bucket.model, latency, reference), verdict

    def _told(self, note: str) -> list[str]:
        """What a person must know besides."""
        reference, model = self._references[-1], self._buckets[-1].model
        unjudged = [] if reference.judge else [f"nobody could judge the import: {reference.why}"]
        fixed = [f"input {each.name} is fixed to {each.value}" for each in self._job.spec.fixed]
        return [*fixed, *model.notes, *unjudged, *self._unproven(), *([note] if note else [])]

    def _bucket_results(self, verdicts: Sequence[Verdict | str]) -> tuple[BucketResult, ...]:
        if len(verdicts) == 1:
            return ()
        told = []
        for bucket, verdict, case in zip(self._buckets, verdicts, self._worst(), strict=True):
            one = BucketResult(bucket.shapes, "these alone")
            if case is not None:
                least = _in_words(bucket.model, [array.shape for array in case.inputs])
                one = BucketResult(bucket.shapes, f"from {least} on, padded", padded_from=least)
                one = replace(one, padded_max_abs_diff=case.max_abs_diff)
            if isinstance(verdict, Verdict):
                one = replace(
                    one,
                    untuned_s=verdict.untuned_s,
                    tuned_s=verdict.shipped_s,
                    max_abs_diff=verdict.max_abs_diff,
                    outputs_equal=verdict.equal,
                    kept_untuned=verdict.keep_untuned,
                )
            told.append(one)
        return tuple(told)

    def _worst(self) -> Sequence[PaddedCase | None]:
        """Of each bucket the worst padded input."""
        return self._padding.worst if self._padding else [None] * len(self._buckets)

    def _prove(self, folder: Path) -> str:
        """The package as a person will use it. Returns why it was not run whole, "" where it was.

        Raises PackageFault where it does not load, does not run, or answers differently than the judge.
        """
        self._report("proving the package")
        if not is_host(self._job.target):
            check_package(folder)
            return "the package was not run on the tuning worker, which is no such machine: its files load"
        worst = []
        for bucket, reference, case in zip(self._buckets, self._references, self._worst(), strict=True):
            self._prove_answers(folder, bucket, reference)
            if case is not None:
                small = replace(reference, inputs=case.inputs, expected=case.expected, floors=case.floors)
                case = replace(case, max_abs_diff=self._prove_answers(folder, bucket, small))
            worst.append(case)
        if self._padding:
            self._padding = replace(self._padding, worst=tuple(worst))
        return ""

    def _prove_answers(self, folder: Path, bucket: _Bucket, reference: Reference) -> float:
        """The largest difference of the package's answers, 0 where nobody judges. Raises PackageFault."""
        model = bucket.model
        answers = run_package(folder, reference.inputs, [info.name for info in model.inputs], model.outputs)
        if reference.expected is None:
            return 0.0
        names = [output.name for output in model.outputs]
        found = compare(reference.expected, answers, tolerance_of(model), names, reference.floors)
        if not found.equal:
            given = _in_words(model, [array.shape for array in reference.inputs])
            raise PackageFault(f"the package answers {given} differently than {reference.judge}: {found.wrong}")
        return found.max_abs_diff

    def _verify(
        self, bucket: _Bucket, reference: Reference, untuned: _Contender, tuned: _Contender, winners: Sequence[Winner]
    ) -> Verdict | str:
        """The verdict, or why none is possible on this class of device."""
        if not self._devices(RunnerMode.FULL):
            return "no device of this class has TVM's runtime, which whole models need"
        uploaded = uploaded_inputs(reference.inputs)
        large = {name: tvm.runtime.tensor(reference.inputs[number]) for number, name in uploaded.items()}
        by_workload = {winner.task.workload: winner for winner in winners}
        mine = [(task.weight, by_workload[task.workload.key]) for task in bucket.tasks]
        untuned_s, tuned_s = (sum(n * w.untuned_s for n, w in mine), sum(n * w.tuned_s for n, w in mine))
        requests = []
        for contender, expected_s in ((untuned, untuned_s), (tuned, tuned_s)):
            path = self._folder / LIBRARY
            path.write_bytes(contender.library)
            save_params({**contender.lowered.params, **large}, self._folder / contender.params)
            params = self._ask(partial(self._client.artifacts.put, self._folder / contender.params))
            values = {name: (tuple(map(int, t.shape)), str(t.dtype)) for name, t in contender.lowered.params.items()}
            repeat = max(3, min(20, int(MODEL_TIMING_S / max(expected_s, 1e-6))))
            plan = TimingPlan(number=1, repeat=repeat, min_repeat_ms=10)
            library = artifact_of(path)
            if not library.inline:
                self._ask(partial(self._client.artifacts.put, path))
            requests.append(model_request(library, params, values, reference.inputs, plan, expected_s))
        return verify(
            requests[0],
            requests[1],
            partial(self._idlest_device, RunnerMode.FULL),
            self._open_model_stream,
            reference,
            tolerance_of(bucket.model),
            [output.name for output in bucket.model.outputs],
        )

    def _open_model_stream(self, sink: Callable[[object], None], device_id: str) -> MeasureStream:
        return self._open_stream(sink, whole_models=True, device_id=device_id)


def _in_words(model: ImportedModel, shapes: Sequence[Sequence[int]]) -> str:
    """``x=1,3,48,160``."""
    named = zip(model.inputs, shapes, strict=True)
    return " ".join(f"{info.name}={','.join(map(str, shape))}" for info, shape in named)


def _merged(tasks: Iterable[ExtractedTask]) -> list[ExtractedTask]:
    """Each workload once, its weights over all shapes added."""
    found: dict[str, ExtractedTask] = {}
    for task in tasks:
        before = found.get(task.workload.key)
        found[task.workload.key] = task if before is None else replace(before, weight=before.weight + task.weight)
    return list(found.values())


def _nothing_to_tune(name: str, model: ImportedModel) -> str:
    operators = list(dict.fromkeys(operator for _, operator in model.values))
    if not operators:
        return f"{name} has no operator that could be tuned: its outputs are constant, or inputs of its own."
    leave = "leave" if len(operators) > 1 else "leaves"
    return f"{name} has no operator that could be tuned: {' and '.join(operators)} {leave} no kernel to schedule."


def _inside(folder: Path, name: str) -> Path:
    """Where a file beside the model goes. Raises InputError for a name that leaves the folder."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InputError(f"the data file {name!r} is outside of the model's folder.")
    found = folder / path
    found.parent.mkdir(parents=True, exist_ok=True)
    return found
