"""What the log says of a model's tasks, without measuring anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.domain import Job, JobResult, Outcome, Record, RecordFilter, TaskResult
from tvm_farm.tracker.domain.record import BASELINE
from tvm_farm.tracker.tuning.models.graph import ExtractedTask
from tvm_farm.tracker.tuning.search.task_state import median

__all__ = ["estimate"]

Asking = Callable[[Farm], list[Record]]


def estimate(tasks: Sequence[ExtractedTask], job: Job, ask: Callable[[Asking], list[Record]]) -> JobResult:
    """A result without files: of each task the fastest record on the job's class, and the latest untuned one there.

    Both are of this target exactly, from whichever job. Seconds are 0 where there is no record. ``ask`` carries a
    question out. The fastest known may be the untuned kernel: it is kept.
    """
    keys = sorted({task.workload.key for task in tasks})
    best = ask(lambda client: client.log.best(keys, device_class=job.device_class, target=job.target))
    untuned: list[Record] = []
    for key in keys:
        wanted = _baseline(job, key)
        untuned += ask(lambda client, w=wanted: list(client.log.records(w)))  # type: ignore[misc]
    fastest, baselines = {r.workload: r for r in best}, {r.workload: r for r in untuned}
    told = [_task(task, fastest.get(task.workload.key), baselines.get(task.workload.key)) for task in tasks]
    return JobResult(tasks=tuple(told))


def _baseline(job: Job, workload: str) -> RecordFilter:
    return RecordFilter(
        workload=workload,
        device_class=job.device_class,
        target=job.target,
        engine=BASELINE,
        outcome=Outcome.OK,
        newest_first=True,
        limit=1,
    )


def _task(task: ExtractedTask, fastest: Record | None, baseline: Record | None) -> TaskResult:
    return TaskResult(
        name=task.name,
        weight=task.weight,
        flops=task.workload.flops,
        trials=0,
        untuned_s=median(baseline.measurement.run_secs) if baseline else 0.0,
        tuned_s=median(fastest.measurement.run_secs) if fastest else 0.0,
        kept_untuned=fastest is not None and fastest.is_baseline,
    )
