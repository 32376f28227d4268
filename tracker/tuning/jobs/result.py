"""What a finished job tells: the table of its tasks, the model's latency, and what must be said besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tvm_farm.tracker.domain import JobResult, PackageFile, TaskResult
from tvm_farm.tracker.tuning.judging.finals import Winner
from tvm_farm.tracker.tuning.judging.kernel_verification import KernelVerdict
from tvm_farm.tracker.tuning.judging.model_verification import Verdict

#: Of a model or a kernel whose answers prove nothing.
_NOTHING_FINITE = "no value of the answers is finite, so nothing was compared: other inputs, --inputs, may tell more"

__all__ = ["job_result", "latency_of", "operator_result"]


def latency_of(verdict: Verdict | str, kernels: Sequence[KernelVerdict] = ()) -> Mapping[str, object]:
    """What the package's manifest says of its latency. ``verdict`` is a reason where there is none; then ``kernels``
    tell of the winners one by one.
    """
    if isinstance(verdict, str):
        compared, equal, difference = _told(kernels)
        told = {"kernels_compared": compared, "kernels_equal": equal, "max_abs_diff": difference}
        return {"note": verdict, **(told if compared else {})}
    return {
        "untuned_s": verdict.untuned_s,
        "tuned_s": verdict.shipped_s,
        "device": verdict.device_name,
        "outputs_equal": verdict.equal,
        "max_abs_diff": verdict.max_abs_diff,
    }


def _told(kernels: Sequence[KernelVerdict]) -> tuple[int, int, float]:
    """How many were compared with their untuned kernels, how many of them were equal, the largest difference of all.

    Equal ones without a finite value prove nothing and are not among them.
    """
    ran = [k for k in kernels if k.max_abs_diff is not None and (k.compared or not k.equal)]
    return len(ran), sum(k.equal for k in ran), max((k.max_abs_diff or 0.0 for k in ran), default=0.0)


def job_result(
    winners: Sequence[Winner],
    verdict: Verdict | str,
    files: list[PackageFile],
    kernels: Sequence[KernelVerdict] = (),
    told: Sequence[str] = (),
) -> JobResult:
    """The result that the job is stored with; what a person must know besides stands in its note.

    ``winners`` are those in the package. ``kernels``: verdicts on winners one by one, where ``verdict`` says why there
    is none on the whole model. ``told``: notes that stand whatever came of it.
    """
    keep_untuned = isinstance(verdict, Verdict) and verdict.keep_untuned
    compared = {kernel.winner.task.id: kernel for kernel in kernels}
    tasks = tuple(_task(winner, keep_untuned, compared.get(winner.task.id)) for winner in winners)
    notes = [*told, *(f"{w.task.name} could not be searched ({w.task.fault})" for w in winners if w.task.fault)]
    if isinstance(verdict, Verdict) and not verdict.compared:
        notes.insert(0, _NOTHING_FINITE)
    if isinstance(verdict, str):
        notes.insert(0, f"not run as a whole: {verdict}; the latency is the weighted sum of its tasks")
        return _sum_of_tasks(tasks, files, kernels, [*notes, *filter(None, map(_note, kernels))])
    if keep_untuned:
        why = "was not faster as a whole" if verdict.equal else "gave other answers than it should"
        scheduled = f"{sum(bool(winner.trace) for winner in winners)} of {len(winners)} tasks with a schedule"
        notes.insert(0, f"the tuned model ({scheduled}) {why}, so the package holds the untuned one")
    return JobResult(
        files=tuple(files),
        tasks=tasks,
        untuned_s=verdict.untuned_s,
        tuned_s=verdict.shipped_s,
        max_abs_diff=verdict.max_abs_diff,
        rtol=verdict.rtol,
        atol=verdict.atol,
        outputs_equal=verdict.equal,
        device_name=verdict.device_name,
        note="; ".join(notes),
        kept_untuned=keep_untuned,
        nothing_compared=not verdict.compared,
    )


def operator_result(
    kernels: Sequence[KernelVerdict], files: list[PackageFile], not_compared: str = "", notes: Sequence[str] = ()
) -> JobResult:
    """The result of an operator's job: ``kernels`` has a verdict on each of its tasks, those of its untuned ones too.

    ``not_compared``: why no device could run any of them beside its untuned one, "" where some could.
    """
    told = [*notes, *([not_compared] if not_compared else filter(None, map(_note, kernels)))]
    told += [
        f"{k.winner.task.name} could not be searched ({k.winner.task.fault})" for k in kernels if k.winner.task.fault
    ]
    tasks = tuple(_task(kernel.shipped, False, kernel if kernel.winner.trace else None) for kernel in kernels)
    if any(kernel.max_abs_diff is None for kernel in kernels):
        return _sum_of_tasks(tasks, files, kernels, told)
    return JobResult(
        files=tuple(files),
        tasks=tasks,
        untuned_s=sum(task.untuned_s for task in tasks),
        tuned_s=sum(task.tuned_s for task in tasks),
        max_abs_diff=max(kernel.max_abs_diff or 0.0 for kernel in kernels),
        rtol=max(kernel.rtol for kernel in kernels),
        atol=max(kernel.atol for kernel in kernels),
        outputs_equal=all(kernel.equal for kernel in kernels),
        device_name=", ".join(sorted({kernel.device_name for kernel in kernels})),
        note="; ".join(told),
        kept_untuned=all(task.kept_untuned for task in tasks),
        nothing_compared=not any(kernel.compared for kernel in kernels),
    )


def _task(winner: Winner, keep_untuned: bool, kernel: KernelVerdict | None) -> TaskResult:
    task = winner.task
    return TaskResult(
        name=task.name,
        weight=task.weight,
        flops=task.flops,
        trials=len(task.history),
        untuned_s=winner.untuned_s,
        tuned_s=winner.untuned_s if keep_untuned else winner.tuned_s,
        kept_untuned=keep_untuned or not winner.trace,
        max_abs_diff=kernel.max_abs_diff if kernel else None,
        wrong_result=kernel is not None and kernel.wrong,
    )


def _sum_of_tasks(
    tasks: tuple[TaskResult, ...], files: list[PackageFile], kernels: Sequence[KernelVerdict], notes: list[str]
) -> JobResult:
    compared, equal, difference = _told(kernels)
    result = JobResult(
        files=tuple(files),
        tasks=tasks,
        max_abs_diff=difference,
        rtol=max((kernel.rtol for kernel in kernels), default=0.0),
        atol=max((kernel.atol for kernel in kernels), default=0.0),
        outputs_equal=0 < compared == equal,
        note="; ".join(notes),
        kernels_compared=compared,
        kernels_equal=equal,
    )
    summed = result.summed_latency
    return replace(result, untuned_s=summed.untuned_s, tuned_s=summed.tuned_s)


def _note(kernel: KernelVerdict) -> str:
    """What a person must know of a winner, "" of one that is equal."""
    name = kernel.winner.task.name
    if kernel.wrong:
        return (
            f"the fastest kernel of {name} answers differently ({kernel.difference}): the untuned one is in the "
            "package, and the log has the other as a wrong result"
        )
    if kernel.failed:
        return f"the fastest kernel of {name} was dropped for the untuned one: {kernel.fault}"
    if kernel.fault:
        return f"{name} could not be compared with its untuned kernel: {kernel.fault}"
    return "" if kernel.compared else f"{name}: {_NOTHING_FINITE}"
