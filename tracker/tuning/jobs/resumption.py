"""Where a job's records and the steps of its search leave it, for the session that goes on from there."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tvm_farm.tracker.domain import Outcome, PastSearch, Record
from tvm_farm.tracker.tuning.search.search import Script
from tvm_farm.tracker.tuning.search.task_state import TaskState, median

__all__ = ["take_up"]

log = logging.getLogger(__name__)


def take_up(
    states: Sequence[TaskState],
    job_id: str,
    records: Sequence[Record],
    past: Sequence[PastSearch],
    workloads: Sequence[str],
) -> Script:
    """Count the ``records`` of the job in its tasks, and return the steps that its search is to make again.

    ``past``: steps of this job or of another, whose tasks are of ``workloads``. Another TVM may find other operators in
    the same model; records and steps of those lead nowhere. Records that the job's own steps name are learned from with
    those; any other when its task's search begins.
    """
    if past and list(workloads) != [state.workload for state in states]:
        log.warning("job %s had other operators: the steps of its search are not made again", past[0].job_id)
        past = ()
    own = bool(past) and past[0].job_id == job_id
    proposed = {trial_id for each in past for trial_id in each.step.proposed} if own else set()
    results: dict[str, Record] = {}
    by_id = {state.id: state for state in states}
    for record in records:
        state = by_id.get(record.task_id)
        if state is None or state.workload != record.workload:
            log.warning("%s of %s is of no task that the job has today", record.trial_id, record.workload_name)
            continue
        run_secs = record.measurement.run_secs if record.measurement.outcome is Outcome.OK else ()
        if record.is_baseline:
            state.untuned_done = True
            state.untuned_s = median(run_secs) if run_secs else 0.0
            continue
        state.count(run_secs)
        if record.trial_id in proposed:
            results[record.trial_id] = record
        elif record.trace:
            state.replays.append((record.trace, run_secs))
    # Beside records of its own that no step tells of, another job's steps would lead elsewhere.
    return Script(tuple(past), own, results) if own or not any(state.replays for state in states) else Script()
