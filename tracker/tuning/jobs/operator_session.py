"""One job from a person's own operator to its package: kernels alone, with no model around them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
import tvm

from tvm_farm.tracker.domain import Artifact, CheckReport, JobResult, RunnerMode, Workload
from tvm_farm.tracker.domain.operator_file import parse_operator
from tvm_farm.tracker.tuning.checking.report import operator_report
from tvm_farm.tracker.tuning.errors import InputError, TuningError
from tvm_farm.tracker.tuning.jobs.result import operator_result
from tvm_farm.tracker.tuning.jobs.session import Session
from tvm_farm.tracker.tuning.judging.answer_size import check_answer_size
from tvm_farm.tracker.tuning.judging.finals import FINAL_PLAN, Winner
from tvm_farm.tracker.tuning.judging.inputs import read_arrays
from tvm_farm.tracker.tuning.judging.kernel_verification import (
    BuiltKernels,
    KernelVerdict,
    build_beside,
    compare_beside,
)
from tvm_farm.tracker.tuning.judging.operator_inputs import arrays_of_kernels
from tvm_farm.tracker.tuning.models.graph import ExtractedTask, flops_of, workload_key
from tvm_farm.tracker.tuning.models.operator import Kernel, Operator, load_operator
from tvm_farm.tracker.tuning.packages.operator_package import PackagedKernel, write_operator_package

__all__ = ["OperatorSession"]

log = logging.getLogger(__name__)

_FILE = "the file of --inputs"


class OperatorSession(Session):
    """As ``Session``: each kernel is a task, and its winner is judged by running beside the untuned one."""

    _operator: Operator
    _arrays: Mapping[str, Mapping[int, np.ndarray]] = MappingProxyType({})
    _inputs_from: str = ""

    def _extracted(self) -> list[ExtractedTask]:
        self._report("reading the operator")
        spec = self._job.spec
        named = parse_operator(spec.operator)
        if named is None:
            raise InputError(f"{spec.operator} names no operator: write FILE.py:NAME.")
        # A folder of its own: a person may call a file whatever this job calls one of its own.
        folder = self._folder / "operator"
        folder.mkdir(exist_ok=True)
        path = folder / PurePosixPath(named.path).name
        self._ask(lambda: self._client.artifacts.get(spec.model, path))
        self._operator = load_operator(path, named.name, {p.name: p.value for p in spec.parameters})
        for kernel in self._operator.kernels:
            check_answer_size([kernel.arguments[at] for at in kernel.outputs], kernel.name)
        return [ExtractedTask(kernel.name, 1, kernel.module, _workload(kernel)) for kernel in self._operator.kernels]

    def _judge(self) -> None:
        """Nobody knows what an operator should compute; but on what it runs is known before a board is asked for."""
        spec, operator = self._job.spec, self._operator
        arrays: dict[str, dict[int, np.ndarray]] = {kernel.name: {} for kernel in operator.kernels}
        sources: list[tuple[Mapping[str, np.ndarray], str]] = []
        if operator.inputs is not None:
            sources.append((operator.inputs(spec.seed), operator.inputs_label))
        if spec.inputs is not None:
            path = self._folder / "inputs.npz"
            self._ask(partial(self._client.artifacts.get, spec.inputs, path))
            sources.append((read_arrays(path, _FILE), _FILE))
        # What a person gives with the job goes before what stands in the file.
        for given, label in sources:
            for name, found in arrays_of_kernels(given, operator.kernels, label).items():
                arrays[name].update(found)
        self._arrays = arrays

    def _given(self, name: str) -> Mapping[int, np.ndarray]:
        return self._arrays[name]

    def _told_inputs(self) -> str:
        """What it ran on, in words; "" where all was filled at random."""
        from_file = f"the inputs of {self._operator.inputs_label.partition(': ')[2]}, seed {self._job.spec.seed}"
        given = [
            *([from_file] if self._operator.inputs is not None else []),
            *(["the inputs given"] if self._job.spec.inputs is not None else []),
        ]
        drawn = dict(
            sorted(
                (kernel.arguments[at].name, f"{each.low} to {each.high - 1}")
                for kernel, inputs in zip(self._operator.kernels, self._inputs, strict=True)
                for at, each in inputs.ranges.items()
            )
        )
        told = f"random inputs ({', '.join(f'{name} {between}' for name, between in drawn.items())})"
        return " and ".join([*given, *([told] if drawn else [])])

    def _checked(self) -> CheckReport:
        tasks = self._extracted()
        return operator_report(self._operator, tasks)

    def _result(self, winners: Sequence[Winner]) -> JobResult:
        # Either kind runs kernels; in full mode it is TVM's own thread pool that does, as for whoever uses the package.
        modes = [mode for mode in (RunnerMode.FULL, RunnerMode.MICRO) if self._devices(mode)]
        not_compared = "" if modes else "no device of this class runs kernels, so nothing was compared"
        advice = [f"{note}: give real ones with --inputs" for note in self._unproven()]
        verdicts: list[KernelVerdict] = []
        packaged: list[PackagedKernel] = []
        for winner, kernel in zip(winners, self._operator.kernels, strict=True):
            scheduled = self._scheduled(winner.task, winner.trace) if winner.trace else None
            self._report("packaging")
            built = build_beside(winner, scheduled, self._builders, self._job.target)
            if modes:
                verdict = self._compared(winner, built, modes[0])
            else:
                verdict = KernelVerdict(winner, fault=built.fault or not_compared, failed=built.failed)
            log.info("%s beside its untuned kernel: %s", kernel.name, verdict.fault or verdict.difference)
            shipped = verdict.shipped
            library = built.tuned if shipped.trace else built.untuned
            ran = verdict.failed or verdict.untuned_s > 0
            if not library or (verdict.fault and modes and not shipped.trace and not ran):
                raise TuningError("; ".join([f"{kernel.name} has no kernel to ship: {verdict.fault}", *advice]) + ".")
            program = scheduled if shipped.trace and scheduled else winner.task.module
            values = self._inputs[len(packaged)].values
            content = self._content(library)
            packaged.append(PackagedKernel(kernel, content, program, shipped.trace, _latency(verdict), values))
            verdicts.append(verdict)
        self._refute_wrong(verdicts)
        files = self._stored(self._written(packaged))
        notes = [f"{name} has no blocks and was left out" for name in self._operator.left_out]
        result = replace(
            operator_result(verdicts, files, not_compared, [*notes, *advice]), inputs_from=self._told_inputs()
        )
        return self._with_teachers(result, winners)

    def _compared(self, winner: Winner, built: BuiltKernels, mode: RunnerMode) -> KernelVerdict:
        open_stream = self._open_stream
        return compare_beside(
            winner,
            built,
            partial(self._idlest_device, mode),
            lambda sink, device_id: open_stream(sink, device_id=device_id),
            FINAL_PLAN,
        )

    def _content(self, library: Artifact) -> bytes:
        """Also of one that a builder elsewhere left with the tracker."""
        path = self._folder / f"{library.digest}.so"
        try:
            self._client.artifacts.get(library, path)
            return path.read_bytes()
        finally:
            path.unlink(missing_ok=True)

    def _written(self, packaged: Sequence[PackagedKernel]) -> list[Path]:
        job = self._job
        return write_operator_package(
            self._folder,
            packaged,
            name=job.spec.model_name,
            source=job.spec.model.digest,
            operator=job.spec.operator,
            parameters={p.name: p.value for p in job.spec.parameters},
            target=job.target,
            device_class=job.device_class,
            versions=self._versions,
        )


def _workload(kernel: Kernel) -> Workload:
    module = kernel.module
    return Workload(workload_key(module), kernel.name, tvm.ir.save_json(module), flops_of(module))


def _latency(verdict: KernelVerdict) -> dict[str, object]:
    """What the manifest says of a kernel's: seconds a call."""
    shipped = verdict.shipped
    seconds = {"untuned_s": shipped.untuned_s, "tuned_s": shipped.tuned_s}
    if verdict.max_abs_diff is None:
        return {**seconds, "note": verdict.fault}
    told = {"device": verdict.device_name, "outputs_equal": verdict.equal, "max_abs_diff": verdict.max_abs_diff}
    return {**seconds, **told}
