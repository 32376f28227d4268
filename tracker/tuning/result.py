"""What a finished job tells: the table of its tasks, the model's latency, and what must be said besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tracker.domain import JobResult, PackageFile, TaskResult
from tracker.tuning.finals import Winner
from tracker.tuning.verification import Verdict

__all__ = ["job_result", "latency_of"]


def latency_of(verdict: Verdict | str) -> Mapping[str, object]:
    """What the package's manifest says of its latency. ``verdict`` is a reason where there is none."""
    if isinstance(verdict, str):
        return {"note": verdict}
    return {
        "untuned_s": verdict.untuned_s,
        "tuned_s": verdict.shipped_s,
        "device": verdict.device_name,
        "outputs_equal": verdict.equal,
        "max_abs_diff": verdict.max_abs_diff,
    }


def job_result(winners: Sequence[Winner], verdict: Verdict | str, files: list[PackageFile]) -> JobResult:
    """The result that the job is stored with; what a person must know besides stands in its note."""
    keep_untuned = isinstance(verdict, Verdict) and verdict.keep_untuned
    tasks = tuple(
        TaskResult(
            name=w.task.name,
            weight=w.task.weight,
            flops=w.task.flops,
            trials=len(w.task.history),
            untuned_s=w.untuned_s,
            tuned_s=w.untuned_s if keep_untuned else w.tuned_s,
            kept_untuned=keep_untuned or not w.trace,
        )
        for w in winners
    )
    notes = [f"{w.task.name} could not be searched ({w.task.fault})" for w in winners if w.task.fault]
    if isinstance(verdict, str):
        notes.insert(0, f"not run as a whole: {verdict}; the latency is the weighted sum of its tasks")
        untuned_s, tuned_s = (
            sum(t.weight * s for t, s in zip(tasks, column, strict=True))
            for column in ([t.untuned_s for t in tasks], [t.tuned_s for t in tasks])
        )
        return JobResult(tuple(files), tasks, untuned_s, tuned_s, note="; ".join(notes))
    if keep_untuned:
        why = "was not faster as a whole" if verdict.equal else "gave other answers than the untuned one"
        notes.insert(0, f"the tuned model {why}, so the package holds the untuned one")
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
    )
