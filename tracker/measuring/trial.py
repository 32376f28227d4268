"""Trials on their way."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from tvm_farm.protos.measurement import OutputTensor, Preparation
from tvm_farm.tracker.domain import (
    Measurement,
    Outcome,
    Record,
    RecordContext,
    Timeline,
    TimingPlan,
)
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.fast_replace import fast_replace
from tvm_farm.tracker.measuring.board import Board
from tvm_farm.tracker.measuring.moment import Moment
from tvm_farm.tracker.measuring.request import TrialRequest

if TYPE_CHECKING:
    from tvm_farm.tracker.measuring.stream import Stream

__all__ = ["PendingTrial", "TrialState", "cancelled", "check", "record_of", "sound"]


_UNPREPARED = Preparation()


class TrialState(Enum):
    QUEUED = 0
    SENT = 1
    STORING = 2
    DONE = 3


class PendingTrial:
    """A trial on its way. ``account``: who pays for the board that it is on, see Stream.

    ``losses``: boards that were lost with it; ``refusals``: times that a board gave it back, ``refused_by`` which.
    ``outputs``: values of its run, which the log does not keep.
    """

    __slots__ = (
        "account",
        "board",
        "context",
        "cramped_s",
        "losses",
        "outputs",
        "queued_s",
        "refusals",
        "refused_by",
        "request",
        "sent_s",
        "state",
        "stream",
        "to_ack",
        "waits_since_s",
    )  # fmt: skip

    def __init__(self, stream: Stream, request: TrialRequest, context: RecordContext | None, now: Moment) -> None:
        self.stream = stream
        self.request = request
        self.context = context
        self.queued_s = now.unix_s
        #: Steady, for how long it waits.
        self.waits_since_s = now.steady_s
        self.sent_s = 0.0
        self.state = TrialState.QUEUED
        self.board: Board | None = None
        self.account = ""
        self.losses = 0
        self.refusals = 0
        self.refused_by: set[str] = set()
        self.to_ack: list[Board] = []
        #: Since when, steady, no board has memory for it; None: one has.
        self.cramped_s: float | None = None
        self.outputs: tuple[OutputTensor, ...] = ()

    @property
    def id(self) -> str:
        return self.request.trial_id

    @property
    def timeline(self) -> Timeline:
        """The steps up to the board."""
        return Timeline(**self._prepared(), queued_s=self.queued_s, sent_s=self.sent_s)

    def timeline_with(self, on_board: Timeline, answered_s: float) -> Timeline:
        """The steps up to the answer, ``on_board`` those that the board tells. Made at once: every trial needs it."""
        return fast_replace(
            on_board, **self._prepared(), queued_s=self.queued_s, sent_s=self.sent_s, answered_s=answered_s
        )

    def _prepared(self) -> dict[str, Any]:
        return (self.context or _UNPREPARED).prepared()

    @property
    def bytes(self) -> int:
        return self.request.payload.bytes


def check(request: TrialRequest) -> None:
    """Raises InvalidRequest for what no board could measure."""
    if not request.trial_id:
        raise InvalidRequest("a trial came without a trial_id")
    if not request.entry:
        raise InvalidRequest(f"trial {request.trial_id} names no entry")
    if request.plan.number < 1 or request.plan.repeat < 1:
        raise InvalidRequest(f"trial {request.trial_id}: number and repeat of its timing plan must be at least 1")
    if request.run_timeout_s <= 0:
        raise InvalidRequest(f"trial {request.trial_id}: its run_timeout_s must be above 0")


def sound(measurement: Measurement) -> Measurement:
    """A board that says OK without usable timings did not time anything."""
    secs = measurement.run_secs
    if measurement.outcome is Outcome.OK and not (secs and all(math.isfinite(s) and s >= 0 for s in secs)):
        detail = f"the board answered OK with the timings {list(secs)}"
        return replace(measurement, outcome=Outcome.RUN_ERROR, detail=detail, run_secs=())
    return measurement


def cancelled(trial_id: str, job_id: str) -> Measurement:
    """The answer to a trial of a cancelled job."""
    return Measurement(trial_id, Outcome.CANCELLED, detail=f"job {job_id} was cancelled")


def record_of(
    stream: Stream,
    measurement: Measurement,
    context: RecordContext,
    plan: TimingPlan,
    farm_version: str,
    board: Board | None = None,
) -> Record:
    """What the log keeps of a measurement; outputs are not kept. Without ``board`` it was never on one."""
    versions = {"farm": farm_version, **context.versions}
    if board is not None:
        versions["agent"] = board.device.fingerprint.agent_version
    return Record(
        trial_id=measurement.trial_id,
        job_id=stream.opened.job_id,
        task_id=context.task_id,
        workload=context.workload,
        workload_name=context.workload_name,
        target=context.target,
        engine=context.engine,
        trace=context.trace,
        measurement=replace(measurement, outputs=()) if measurement.outputs else measurement,
        plan=plan,
        versions=versions,
        runner_mode=board.device.runner.mode if board else None,
        user=stream.user,
    )
