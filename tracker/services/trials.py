"""Trials on their way, and the streams that they came by."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum

from tracker.domain import (
    Capacity,
    Measurement,
    OpenMeasure,
    Outcome,
    Record,
    RecordContext,
    Timeline,
    TimingPlan,
)
from tracker.domain.changed import changed
from tracker.domain.errors import InvalidRequest
from tracker.scheduling.placement import Selection
from tracker.services.board import Board
from tracker.services.sealed import SealedRequest

__all__ = ["Answer", "Pending", "Stream", "TrialState", "cancelled", "check", "record_of", "sound"]

Answer = Measurement | Capacity


class TrialState(Enum):
    QUEUED = 0
    SENT = 1
    STORING = 2
    DONE = 3


class Pending:
    """A trial on its way. ``account``: who pays for the board that it is on, see Stream.

    ``losses``: boards that were lost with it; ``refusals``: times that a board gave it back, ``refused_by`` which.
    """

    __slots__ = (
        "account",
        "board",
        "context",
        "cramped_s",
        "losses",
        "queued_s",
        "refusals",
        "refused_by",
        "request",
        "sent_s",
        "state",
        "stream",
        "to_ack",
    )  # fmt: skip

    def __init__(self, stream: Stream, request: SealedRequest, context: RecordContext | None, now: float) -> None:
        self.stream = stream
        self.request = request
        self.context = context
        self.queued_s = now
        self.sent_s = 0.0
        self.state = TrialState.QUEUED
        self.board: Board | None = None
        self.account = ""
        self.losses = 0
        self.refusals = 0
        self.refused_by: set[str] = set()
        self.to_ack: list[Board] = []
        #: Since when no board has memory for it; 0: one has.
        self.cramped_s = 0.0

    @property
    def id(self) -> str:
        return self.request.trial_id

    @property
    def timeline(self) -> Timeline:
        """The steps up to the board."""
        steps = self.context.timeline if self.context else Timeline()
        return replace(steps, queued_s=self.queued_s, sent_s=self.sent_s)

    def timeline_with(self, on_board: Timeline, answered_s: float) -> Timeline:
        """The steps up to the answer, ``on_board`` those that the board tells. Made at once: every trial needs it."""
        context = self.context
        return changed(
            on_board,
            searched_s=context.searched_s if context else 0.0,
            proposed_s=context.proposed_s if context else 0.0,
            building_s=context.building_s if context else 0.0,
            compiled_s=context.compiled_s if context else 0.0,
            built_s=context.built_s if context else 0.0,
            queued_s=self.queued_s,
            sent_s=self.sent_s,
            answered_s=answered_s,
        )

    @property
    def bytes(self) -> int:
        return self.request.payload.bytes


class Stream:
    """One open Measure call: whose trials they are and where their answers go.

    ``account``: its job, or itself where it has none; as that it gets its share of the boards.
    ``pending`` holds every unanswered trial, ``storing`` counts failed builds that are being recorded, ``moved`` is
    set with each answer.
    """

    def __init__(self, id_: str, opened: OpenMeasure, deliver: Callable[[Answer], None]) -> None:
        self.id = id_
        self.opened = opened
        self.account = opened.job_id or f"stream {id_}"
        self.deliver = deliver
        self.selection = Selection(opened.pool, opened.device_class, opened.whole_models, opened.device_id)
        self.queue: deque[Pending] = deque()
        self.pending: dict[str, Pending] = {}
        self.cancelled = False
        self.storing = 0
        self.bytes = 0
        self.moved = asyncio.Event()

    @property
    def user(self) -> str:
        return self.opened.user

    def add(self, pending: Pending) -> None:
        self.pending[pending.id] = pending
        self.bytes += pending.bytes

    def remove(self, pending: Pending) -> None:
        if self.pending.pop(pending.id, None) is not None:
            self.bytes -= pending.bytes

    def waiting(self) -> Iterator[Pending]:
        """Trials to be placed, in their order. What was answered or dropped meanwhile is passed over."""
        while self.queue and self.queue[0].state is not TrialState.QUEUED:
            self.queue.popleft()
        return (pending for pending in self.queue if pending.state is TrialState.QUEUED)

    def answer(self, measurement: Measurement) -> None:
        self.deliver(measurement)
        self.moved.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when ``condition`` holds, which only an answer can bring about."""
        while not condition():
            self.moved.clear()
            await self.moved.wait()


def check(request: SealedRequest) -> None:
    """Raises InvalidRequest for what no board could measure."""
    if not request.trial_id:
        raise InvalidRequest("a trial came without a trial_id")
    if request.kind is None or not request.entry:
        raise InvalidRequest(f"trial {request.trial_id} names no kind of program or no entry")
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
