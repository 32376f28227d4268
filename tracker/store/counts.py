"""What records add to the counters of their tasks and jobs."""

from __future__ import annotations

from dataclasses import dataclass, field

from tvm_farm.tracker.domain import Outcome, Record

__all__ = ["RecordCounts", "TaskCount"]


@dataclass
class TaskCount:
    #: Trials in all, and those of them that did not end OK.
    trials: int = 0
    failed: int = 0
    #: The least median, seconds a call; None where none was OK.
    best_s: float | None = None


@dataclass
class RecordCounts:
    """Of a group of records that are kept together, none of which was kept before."""

    #: By task id.
    tasks: dict[str, TaskCount] = field(default_factory=dict)
    #: Trials, and those of them that the log answered, by job id.
    jobs: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: Seconds a call of the untuned kernel, by task id.
    untuned_s: dict[str, float] = field(default_factory=dict)

    def add(self, record: Record, median_s: float | None) -> None:
        """``median_s`` is the record's own."""
        if record.is_baseline:
            if median_s is not None:
                self.untuned_s[record.task_id] = median_s
            return
        task = self.tasks.get(record.task_id)
        if task is None:
            task = self.tasks[record.task_id] = TaskCount()
        task.trials += 1
        task.failed += record.measurement.outcome is not Outcome.OK
        if median_s is not None and (task.best_s is None or median_s < task.best_s):
            task.best_s = median_s
        trials, recalled = self.jobs.get(record.job_id, (0, 0))
        self.jobs[record.job_id] = (trials + 1, recalled + bool(record.copied_from))
