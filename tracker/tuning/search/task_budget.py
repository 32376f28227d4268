"""Which task of a job gets the next trials.

A model's latency is the sum over its tasks of weight times latency, so a trial is worth what it is
expected to take off that sum. After a first round in which every task gets its share, the task
with the largest expected gain is next: the gradient of Ansor (Zheng et al., OSDI 2020, section 6;
TVM's task_scheduler/gradient_based.cc follows the same formula).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

__all__ = ["TaskProgress", "first_round_trials", "next_task"]

#: Share of the recent slope against the optimistic bound, as in Ansor.
ALPHA = 0.2
#: Trials over which the recent slope is taken.
WINDOW = 32


@dataclass(frozen=True)
class TaskProgress:
    """One task as the budget sees it.

    ``history`` holds the best latency in seconds after each trial that was answered, so its length
    is the number of trials answered; ``pending`` counts those under way. ``untuned_s`` is 0 where
    it is not known, and then ``guess_s`` stands for it while the order of the first round is decided.
    """

    weight: int
    untuned_s: float
    history: tuple[float, ...] = ()
    pending: int = 0
    exhausted: bool = False
    guess_s: float = 0.0

    @property
    def latency_s(self) -> float:
        """What a model would pay for one call now."""
        known = [t for t in (self.untuned_s, self.history[-1] if self.history else 0.0) if 0 < t < float("inf")]
        return min(known, default=0.0)


def next_task(tasks: Sequence[TaskProgress]) -> int | None:
    """Index of the task to search next; None when every space is exhausted.

    First those without any trial, the largest share of the untuned model first; then by expected
    gain. Ties go to the first.
    """
    open_tasks = [i for i, task in enumerate(tasks) if not task.exhausted]
    untouched = [i for i in open_tasks if not tasks[i].history and not tasks[i].pending]
    if untouched:
        return max(untouched, key=lambda i: tasks[i].weight * (tasks[i].latency_s or tasks[i].guess_s))
    return max(open_tasks, key=lambda i: expected_gain(tasks[i]), default=None)


def expected_gain(task: TaskProgress) -> float:
    """Seconds of model latency that one more trial is expected to save.

    Trials under way count as done without gain: their results are not in, and sending a second
    batch after them should wait unless nothing else is worth more.
    """
    done = len(task.history) + task.pending
    latency = task.latency_s
    if not task.history or done == 0 or latency == 0.0:
        # Nothing ran yet: as if the next trials could halve it, less with each that failed to.
        return task.weight * latency / (done + 1)
    window = min(WINDOW, len(task.history) - 1)
    before = task.history[-1 - window] if window else task.history[-1]
    before = min(before, task.untuned_s or before)
    # Infinite where nothing had run before: then there is no slope yet.
    slope = max(0.0, before - task.history[-1]) / (window + task.pending) if window and isfinite(before) else 0.0
    return task.weight * (ALPHA * slope + (1 - ALPHA) * latency / done)


def first_round_trials(tasks: int, max_trials: int, batch: int) -> int:
    """Trials for each task of the first round: ``batch``, fewer where ``max_trials`` (0: no limit) is short."""
    if max_trials <= 0 or tasks <= 0:
        return batch
    return max(1, min(batch, max_trials // tasks))
