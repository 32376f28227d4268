"""One job from a person's own operator to its package: kernels alone, with no model around them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import tvm

from tracker.domain import CheckReport, JobResult, RunnerMode, Workload
from tracker.domain.operator_file import parse_operator
from tracker.tuning.checking.report import operator_report
from tracker.tuning.errors import InputError, TuningError
from tracker.tuning.finals import FINAL_PLAN, Winner
from tracker.tuning.kernel_verification import BuiltKernels, KernelVerdict, build_beside, compare_beside
from tracker.tuning.models.graph import ExtractedTask, workload_key
from tracker.tuning.models.operator import Operator, load_operator
from tracker.tuning.models.operator_package import PackagedKernel, write_operator_package
from tracker.tuning.result import operator_result
from tracker.tuning.session import Session, first_line

__all__ = ["OperatorSession"]

log = logging.getLogger(__name__)


class OperatorSession(Session):
    """As ``Session``: each kernel is a task, and its winner is judged by running beside the untuned one."""

    _operator: Operator

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
        self._patiently(lambda: self._client.get_artifact(spec.model, path))
        self._operator = load_operator(path, named.name, {p.name: p.value for p in spec.parameters})
        return [
            ExtractedTask(kernel.name, 1, kernel.module, _workload(kernel.name, kernel.module))
            for kernel in self._operator.kernels
        ]

    def _checked(self) -> CheckReport:
        tasks = self._extracted()
        return operator_report(self._operator, tasks)

    def _result(self, winners: Sequence[Winner]) -> JobResult:
        # Either kind runs kernels; in full mode it is TVM's own thread pool that does, as for whoever uses the package.
        modes = [mode for mode in (RunnerMode.FULL, RunnerMode.MICRO) if self._devices(mode)]
        not_compared = "" if modes else "no device of this class runs kernels, so nothing was compared"
        verdicts, packaged = [], []
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
            if not library or (verdict.fault and modes and not shipped.trace and not verdict.failed):
                raise TuningError(f"{kernel.name} gave no kernel that runs: {verdict.fault}.")
            program = scheduled if shipped.trace and scheduled else winner.task.module
            packaged.append(PackagedKernel(kernel, library, program, shipped.trace, _latency(verdict)))
            verdicts.append(verdict)
        self._refute_wrong(verdicts)
        files = self._stored(self._written(packaged))
        notes = [f"{name} has no blocks and was left out" for name in self._operator.left_out]
        return self._with_teachers(operator_result(verdicts, files, not_compared, notes), winners)

    def _compared(self, winner: Winner, built: BuiltKernels, mode: RunnerMode) -> KernelVerdict:
        open_stream = self._open_stream
        return compare_beside(
            winner,
            built,
            partial(self._idlest_device, mode),
            lambda sink, device_id: open_stream(sink, device_id=device_id),
            FINAL_PLAN,
        )

    def _written(self, packaged: Sequence[PackagedKernel]) -> list[Path]:
        job = self._job
        return write_operator_package(
            self._folder,
            packaged,
            name=job.spec.model_name,
            operator=job.spec.operator,
            parameters={p.name: p.value for p in job.spec.parameters},
            target=job.target,
            device_class=job.device_class,
            versions=self._versions,
        )


def _workload(name: str, module: tvm.ir.IRModule) -> Workload:
    try:
        flops = float(tvm.s_tir.analysis.estimate_tir_flops(module))
    except Exception as error:  # noqa: BLE001 - it counts what it knows, and raises TVM's InternalError at the rest
        log.info("the operations of %s cannot be counted: %s", name, first_line(error))
        flops = 0.0
    return Workload(workload_key(module), name, tvm.ir.save_json(module), flops)


def _latency(verdict: KernelVerdict) -> dict[str, object]:
    """What the manifest says of a kernel's: seconds a call."""
    shipped = verdict.shipped
    seconds = {"untuned_s": shipped.untuned_s, "tuned_s": shipped.tuned_s}
    if verdict.max_abs_diff is None:
        return {**seconds, "note": verdict.fault}
    told = {"device": verdict.device_name, "outputs_equal": verdict.equal, "max_abs_diff": verdict.max_abs_diff}
    return {**seconds, **told}
