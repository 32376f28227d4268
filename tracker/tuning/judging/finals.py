"""The last round: the best candidates of each task and its untuned schedule once more, side by side.

A tuning run picks the fastest of hundreds of noisy timings, so its winner is partly luck. Here
the few best of every task are measured again with a longer plan, together with the untuned one,
and the fastest of those timings is what the package gets: tuning never makes a task slower.
"""

from __future__ import annotations

import logging
import queue
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tvm_farm.tracker.client.measure_stream import MeasureStream, StreamRefused
from tvm_farm.tracker.domain import Artifact, Measurement, Outcome, Record, TimingPlan, Trial
from tvm_farm.tracker.tuning.building.base import Builders, BuildRequest
from tvm_farm.tracker.tuning.building.batch import build_all
from tvm_farm.tracker.tuning.building.builder import for_schedules
from tvm_farm.tracker.tuning.building.kernel_requests import kernel_request
from tvm_farm.tracker.tuning.errors import FarmFailure, SessionOver
from tvm_farm.tracker.tuning.search.task_state import TaskState, median

__all__ = ["FINAL_PLAN", "Finalist", "Winner", "play_finals", "slowest_s"]

log = logging.getLogger(__name__)

FINAL_PLAN = TimingPlan(number=1, repeat=5, min_repeat_ms=20)
#: Finalists a task, beside its untuned schedule.
FINALISTS = 2
#: Tasks that together make less than this share of the model are taken as the log has them.
NEGLIGIBLE = 0.002


@dataclass(frozen=True)
class Finalist:
    """A schedule that may win: ``trace`` is empty for the untuned one. ``module`` is ``tvm.ir.save_json``."""

    trace: str
    module: str
    seconds: float


@dataclass(frozen=True)
class Winner:
    """A task's schedule in the package. ``trace`` is empty where the untuned one was kept; 0 s: never measured.

    ``trial_id``: of a record with that trace.
    """

    task: TaskState
    trace: str
    tuned_s: float
    untuned_s: float
    trial_id: str = ""


def play_finals(
    tasks: Sequence[TaskState],
    records: Mapping[str, Sequence[Record]],
    schedule: Callable[[TaskState, str], str | None],
    builders: Builders,
    open_stream: Callable[[Callable[[object], None]], MeasureStream],
    target: str,
) -> list[Winner]:
    """One winner for each of ``tasks``, in their order.

    ``records``: by workload, fastest first, failed ones left out. ``schedule`` applies a trace and
    returns the scheduled module, None where it does not apply. Raises FarmFailure when the
    tracker refuses to measure.
    """
    field = {task.id: _finalists(task, records.get(task.workload, ()), schedule) for task in tasks}
    total = sum(task.weight * min(f.seconds for f in field[task.id]) for task in tasks if field[task.id])
    contested = {}
    for task in tasks:
        share = task.weight * min((f.seconds for f in field[task.id]), default=0.0)
        if len(field[task.id]) > 1 and share >= NEGLIGIBLE * total:
            contested.update({uuid.uuid4().hex: (task, finalist) for finalist in field[task.id]})
    measured = _measure(contested, builders, open_stream, target)
    winners = []
    for task in tasks:
        played = {key: finalist for key, (owner, finalist) in contested.items() if owner is task}
        if played:
            # One that failed here is out, however fast the log has it.
            timed = {finalist.trace: measured[key] for key, finalist in played.items() if key in measured}
        else:
            timed = {finalist.trace: finalist.seconds for finalist in field[task.id]}
        untuned = timed.get("", task.untuned_s)
        best = min(timed, key=lambda trace: timed[trace], default="")
        trial_id = next((r.trial_id for r in records.get(task.workload, ()) if best and r.trace == best), "")
        winners.append(Winner(task, best, timed.get(best, 0.0), untuned, trial_id))
    return winners


def _finalists(
    task: TaskState, records: Sequence[Record], schedule: Callable[[TaskState, str], str | None]
) -> list[Finalist]:
    field = []
    if task.untuned_s:
        field.append(Finalist("", task.module, task.untuned_s))
    for record in records:
        if len(field) > FINALISTS:
            break
        if not record.trace or record.trace in {finalist.trace for finalist in field}:
            continue
        module = schedule(task, record.trace)
        if module is None:
            log.warning("%s: the trace of record %s does not apply any more", task.name, record.trial_id)
            continue
        field.append(Finalist(record.trace, module, median(record.measurement.run_secs)))
    return field


def _measure(
    contested: Mapping[str, tuple[TaskState, Finalist]],
    builders: Builders,
    open_stream: Callable[[Callable[[object], None]], MeasureStream],
    target: str,
) -> dict[str, float]:
    """Seconds a call of each finalist that ran."""
    requests = [
        BuildRequest(key, finalist.module, for_schedules(target) if finalist.trace else target)
        for key, (_, finalist) in contested.items()
    ]
    # All built first, then measured: nothing compiles on this host while the finals are timed.
    built = build_all(builders, requests)
    libraries = {key: each.library for key, each in built.items() if each.library}
    return _time(libraries, contested, open_stream) if libraries else {}


def slowest_s(task: TaskState) -> float:
    """Seconds a call: twice the slowest finalist that may come: the untuned schedule, or the first trial that ran."""
    ran = [seconds for seconds in (task.untuned_s, *task.history) if seconds != float("inf")]
    return 2 * max(ran, default=1.0)


def _time(
    libraries: Mapping[str, Artifact],
    contested: Mapping[str, tuple[TaskState, Finalist]],
    open_stream: Callable[[Callable[[object], None]], MeasureStream],
) -> dict[str, float]:
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    stream = open_stream(events.put)
    results: dict[str, float] = {}
    unanswered = set(libraries)
    try:
        for key, library in libraries.items():
            task = contested[key][0]
            request = kernel_request(key, library, task.arguments, FINAL_PLAN, slowest_s(task), params=task.params)
            stream.measure(Trial(request))
        while unanswered:
            event = events.get()
            if isinstance(event, StreamRefused):
                raise FarmFailure(f"the tracker refused to measure: {event.reason}")
            if isinstance(event, Measurement):
                unanswered.discard(event.trial_id)
                if event.outcome is Outcome.CANCELLED:
                    raise SessionOver("the tracker cancelled this job's trials")
                if event.outcome is Outcome.OK:
                    results[event.trial_id] = median(event.run_secs)
                else:
                    log.warning("finals of %s: %s %s", contested[event.trial_id][0].name, event.outcome, event.detail)
    finally:
        stream.close()
    return results
