"""When a record answers a trial, so that nothing is built or measured again."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tvm_farm.protos.measurement import Outcome, Timeline, TimingPlan
from tvm_farm.tracker.domain.outcomes import meaning
from tvm_farm.tracker.domain.record import Record, RecordContext
from tvm_farm.tracker.domain.search import SearchStep

__all__ = ["RecallCandidate", "RecallRequest", "answer_among", "answers", "copied"]

#: Limits follow from timings, which differ from one time to the next.
_LIMIT_SLACK = 1.1


@dataclass(frozen=True)
class RecallCandidate:
    """``run_timeout_s``: the limit that its run would have, 0 where none is known."""

    trial_id: str
    context: RecordContext
    run_timeout_s: float = 0.0


@dataclass(frozen=True)
class RecallRequest:
    """Which of ``candidates`` the log has, see work.proto. Outside a job ``device_class`` and ``user`` count."""

    job_id: str
    device_class: str
    plan: TimingPlan
    candidates: tuple[RecallCandidate, ...] = ()
    hopeless: float = 0.0
    step: SearchStep | None = None
    user: str = ""


def answers(record: Record, versions: Mapping[str, str], run_timeout_s: float, hopeless_s: float) -> bool:
    """Whether ``record``, of the same workload, target, class, trace and plan, says what a measurement would.

    ``versions``: of what compiles the candidate, and of the values it is called with where those are no board's;
    without any nothing is known to be equal. One whose plan was cut
    short answers where it would be again: its last timing is above ``hopeless_s`` seconds a call (0: none is). A run
    timeout answers where the run had as long as ``run_timeout_s``. A lost board, a full memory, a host that could not
    build or what the runtime complained of may be over.
    """
    measurement = record.measurement
    if not versions or any(record.versions.get(name) != version for name, version in versions.items()):
        return False
    if record.versions.get("inputs") != versions.get("inputs"):
        return False
    if measurement.outcome is Outcome.OK:
        timed = bool(measurement.run_secs)
        return timed and (not measurement.cut_short or 0 < hopeless_s < measurement.run_secs[-1])
    if measurement.outcome is Outcome.RUN_TIMEOUT:
        ran_s = measurement.timeline.finished_s - measurement.timeline.started_s
        return 0 < run_timeout_s <= _LIMIT_SLACK * ran_s
    # A system short of memory kills whoever is there.
    killed = measurement.outcome is Outcome.CRASH and measurement.signal == signal.SIGKILL
    return meaning(measurement.outcome).own_fault and not killed


def answer_among(
    records: Iterable[Record], versions: Mapping[str, str], run_timeout_s: float, hopeless_s: float
) -> Record | None:
    """Of ``records``, the newest first, the one that says most: whole timings, then any, then a failure."""
    fitting = [record for record in records if answers(record, versions, run_timeout_s, hopeless_s)]
    return max(fitting, key=_worth, default=None)


def _worth(record: Record) -> tuple[bool, bool, bool]:
    measurement = record.measurement
    return measurement.outcome is Outcome.OK, not measurement.cut_short, not record.copied_from


def copied(source: Record, trial_id: str, job_id: str, user: str, context: RecordContext, stored_s: float) -> Record:
    """The record of trial ``trial_id``, answered by ``source``: it went nowhere, so it has no times of a board."""
    timeline = replace(Timeline(), searched_s=context.searched_s, proposed_s=context.proposed_s, stored_s=stored_s)
    return replace(
        source,
        trial_id=trial_id,
        job_id=job_id,
        task_id=context.task_id,
        workload_name=context.workload_name,
        engine=context.engine,
        user=user,
        measurement=replace(source.measurement, trial_id=trial_id, timeline=timeline),
        copied_from=source.copied_from or source.trial_id,
    )
