"""Trials to boards and measurements back: every trial of an open stream is answered once.

A trial is queued, sent to a board, and either answered at once or, when it is to be recorded, after its record is
committed. A board that is lost returns its trials to the head of their queues. The first measurement of a pending
trial wins, wherever it comes from; any other is acknowledged and dropped.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import Enum

from tracker.domain import (
    Capacity,
    FailedBuild,
    Measurement,
    MeasureRequest,
    OpenMeasure,
    Outcome,
    Record,
    RecordContext,
    Timeline,
    TimingPlan,
    Trial,
)
from tracker.domain.errors import InvalidRequest, NotFound, NotPossible
from tracker.scheduling.fair_share import FairShare
from tracker.scheduling.placement import Placement, Selection
from tracker.services.artifacts import ArtifactStore
from tracker.services.board import Acknowledge, Board, Cancel
from tracker.services.fleet import Fleet
from tracker.services.histogram import Histogram
from tracker.services.store_thread import StoreThread

__all__ = ["INLINE_BYTES", "MAX_LOSSES", "Measuring", "Stream"]

log = logging.getLogger(__name__)

#: Libraries up to this size travel with the request; larger ones a board fetches once by their digest.
INLINE_BYTES = 256 * 1024
#: A trial that was on this many boards when they were lost may be what takes them down.
MAX_LOSSES = 3
#: Libraries that one stream may have waiting here; beyond it the stream is read no further until some are answered.
STREAM_BYTES = 256 << 20

Answer = Measurement | Capacity


class _State(Enum):
    QUEUED = 0
    SENT = 1
    STORING = 2
    DONE = 3


class _Pending:
    """A trial on its way."""

    __slots__ = ("account", "board", "context", "losses", "queued_s", "request", "sent_s", "state", "stream", "to_ack")

    def __init__(self, stream: Stream, request: MeasureRequest, context: RecordContext | None, now: float) -> None:
        self.stream = stream
        self.request = request
        self.context = context
        self.queued_s = now
        self.sent_s = 0.0
        self.state = _State.QUEUED
        self.board: Board | None = None
        self.account = ""
        self.losses = 0
        self.to_ack: list[Board] = []


class Stream:
    """One open Measure call: whose trials they are and where their answers go."""

    def __init__(self, id_: str, opened: OpenMeasure, user: str, deliver: Callable[[Answer], None]) -> None:
        self.id = id_
        self.opened = opened
        self.user = user
        self.deliver = deliver
        self.selection = Selection(opened.pool, opened.device_class, opened.whole_models)
        self.queue: deque[_Pending] = deque()
        self.pending: dict[str, _Pending] = {}
        self.cancelled = False
        self.storing = 0
        self.bytes = 0
        self.idle = asyncio.Event()


class _Group:
    """Streams of equal selection and the boards they share."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.placement = Placement()
        self.streams: dict[str, Stream] = {}

    def capacity(self) -> Capacity:
        return Capacity(self.placement.devices, self.placement.slots)


class Measuring:
    """Used in the event loop alone. ``recorded`` is told the job of each new record."""

    def __init__(
        self,
        fleet: Fleet,
        store: StoreThread,
        artifacts: ArtifactStore,
        tracker_version: str,
        recorded: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._store = store
        self._artifacts = artifacts
        self._version = tracker_version
        self._recorded = recorded
        self._clock = clock
        self._numbers = itertools.count(1)
        self._groups: dict[tuple[str, str, bool], _Group] = {}
        self._trials: dict[str, _Pending] = {}
        self._share = FairShare()
        self._known: dict[str, set[str]] = {}
        self.answered = dict.fromkeys(Outcome, 0)
        self.waited = Histogram()

    @property
    def queued(self) -> int:
        return sum(p.state is _State.QUEUED for g in self._groups.values() for s in g.streams.values() for p in s.queue)

    async def open(self, opened: OpenMeasure, deliver: Callable[[Answer], None]) -> Stream:
        """Start a stream; its capacity is delivered first.

        Raises NotFound for an unknown pool or job, NotPossible for a job that has ended.
        """
        self._fleet.pool(opened.pool)
        user = ""
        if opened.job_id:
            job = await self._store.call(lambda s: s.job(opened.job_id))
            if job is None:
                raise NotFound(f"there is no job '{opened.job_id}'")
            if job.state is None or job.state.final:
                raise NotPossible(f"job {job.id} is {job.state and job.state.value}: it measures no more")
            user = job.spec.user
            if opened.job_id not in self._known:
                recorded = await self._store.call(lambda s: s.trial_ids(opened.job_id))
                self._known.setdefault(opened.job_id, set()).update(recorded)
        stream = Stream(str(next(self._numbers)), opened, user, deliver)
        group = self._groups.get(stream.selection.key)
        if group is None:
            group = self._groups[stream.selection.key] = _Group(stream.selection)
            for board in self._fleet.connected():
                self._offer(group, board)
        group.streams[stream.id] = stream
        self._share.open(stream.id)
        deliver(group.capacity())
        log.info("%s measures on pool %s %s", opened.client, opened.pool, opened.device_class)
        return stream

    def close(self, stream: Stream) -> None:
        """The client went away: what is queued is dropped, what runs is cancelled."""
        self._drop(stream)
        self._share.close(stream.id)
        group = self._groups[stream.selection.key]
        group.streams.pop(stream.id, None)
        if not group.streams:
            del self._groups[stream.selection.key]
        job_id = stream.opened.job_id
        streams = (s for g in self._groups.values() for s in g.streams.values())
        if not any(s.opened.job_id == job_id for s in streams):
            self._known.pop(job_id, None)

    def cancel_job(self, job_id: str) -> None:
        """Every trial of the job that is not being stored is answered CANCELLED, those to come as well."""
        for stream in [s for g in self._groups.values() for s in g.streams.values() if s.opened.job_id == job_id]:
            stream.cancelled = True
            for trial_id in self._drop(stream):
                self._answer(stream, Measurement(trial_id, Outcome.CANCELLED, detail=f"job {job_id} was cancelled"))

    def _drop(self, stream: Stream) -> list[str]:
        dropped = [p for p in stream.pending.values() if p.state is not _State.STORING]
        stream.queue.clear()
        held: dict[Board, list[str]] = {}
        for pending in dropped:
            self._forget(pending)
            if pending.board is not None:
                held.setdefault(pending.board, []).append(pending.request.trial_id)
        for board, trial_ids in held.items():
            board.send(Cancel(tuple(trial_ids)))
            for trial_id in trial_ids:
                self._release(board, trial_id, stream.id, None)
            self._fill(board)
        return [p.request.trial_id for p in dropped]

    async def submit(self, stream: Stream, trial: Trial) -> None:
        """Measure a trial. One that is pending here is the same trial; one with a record is answered from it.

        Raises InvalidRequest for a trial that cannot be sent to any board as it stands.
        """
        request = trial.request
        _check(request)
        if stream.cancelled:
            self._answer(stream, _cancelled(request.trial_id, stream))
            return
        if await self._answered_before(stream, request.trial_id) or self._adopted(stream, request.trial_id):
            return
        request = await self._portable(request)
        if stream.cancelled or self._adopted(stream, request.trial_id):
            return
        pending = _Pending(stream, request, trial.context, self._clock())
        stream.bytes += len(request.program.library.inline)
        self._trials[request.trial_id] = stream.pending[request.trial_id] = pending
        stream.queue.append(pending)
        self._pump(self._groups[stream.selection.key], stream)
        while stream.bytes > STREAM_BYTES:
            stream.idle.clear()
            await stream.idle.wait()

    async def fail_build(self, stream: Stream, failed: FailedBuild) -> None:
        """Record and answer a candidate that was never built. Raises InvalidRequest for another outcome."""
        if failed.outcome not in (Outcome.BUILD_ERROR, Outcome.BUILD_TIMEOUT):
            raise InvalidRequest(f"trial {failed.trial_id}: a failed build is a build error or a build timeout")
        if await self._answered_before(stream, failed.trial_id) or self._adopted(stream, failed.trial_id):
            return
        measurement = Measurement(
            failed.trial_id, failed.outcome, detail=failed.detail, device_class=stream.opened.device_class
        )
        if stream.cancelled:
            measurement = _cancelled(failed.trial_id, stream)
        if failed.context is None or stream.cancelled:
            self._answer(stream, measurement)
            return
        context, times = failed.context, Timeline(failed.context.proposed_s, failed.context.built_s)
        stream.storing += 1
        self._store.put(
            self._record(stream, replace(measurement, timeline=times), context, failed.plan, None),
            lambda record: self._build_kept(stream, record.measurement),
        )

    def _build_kept(self, stream: Stream, measurement: Measurement) -> None:
        stream.storing -= 1
        self._kept(stream, measurement)

    async def settled(self, stream: Stream) -> None:
        """Returns when the stream has no unanswered trial; its client sends no more."""
        while stream.pending or stream.storing:
            stream.idle.clear()
            await stream.idle.wait()

    def cancel(self, stream: Stream, trial_id: str) -> None:
        """Answer a trial CANCELLED unless its measurement is here already; an unknown one is ignored."""
        pending = stream.pending.get(trial_id)
        if pending is None or pending.state is _State.STORING:
            return
        self._forget(pending)
        self._answer(stream, Measurement(trial_id, Outcome.CANCELLED, detail="cancelled by its client"))
        if (board := pending.board) is not None:
            board.send(Cancel((trial_id,)))
            self._release(board, trial_id, pending.account, None)
            self._fill(board)

    async def _answered_before(self, stream: Stream, trial_id: str) -> bool:
        if trial_id not in self._known.get(stream.opened.job_id, ()):
            return False
        record = await self._store.call(lambda s: s.record(trial_id))
        if record is not None:
            self._answer(stream, record.measurement)
        return record is not None

    def _adopted(self, stream: Stream, trial_id: str) -> bool:
        """Whether the trial is on its way already; one of an older stream of the same client changes over."""
        pending = self._trials.get(trial_id)
        if pending is None:
            return False
        if pending.stream is stream:
            return True
        if pending.state is _State.QUEUED:
            self._forget(pending)
            return False
        size = len(pending.request.program.library.inline)
        pending.stream.pending.pop(trial_id, None)
        pending.stream.bytes -= size
        stream.bytes += size
        pending.stream = stream
        stream.pending[trial_id] = pending
        return True

    async def _portable(self, request: MeasureRequest) -> MeasureRequest:
        program = request.program
        for artifact in (program.library, program.params):
            if artifact is not None and not artifact.inline and artifact.digest not in self._artifacts:
                raise InvalidRequest(f"trial {request.trial_id} needs the artifact {artifact.digest}, not stored here")
        if len(program.library.inline) > INLINE_BYTES:
            program = replace(program, library=await self._artifacts.put_bytes(program.library))
        if program.params is not None and program.params.inline:
            program = replace(program, params=await self._artifacts.put_bytes(program.params))
        return request if program is request.program else replace(request, program=program)

    # Boards: the fleet calls joined, left and stopped.

    def joined(self, board: Board) -> None:
        for group in self._groups.values():
            self._offer(group, board)
            self._tell_capacity(group)
        self._fill(board)

    def stopped(self, board: Board) -> None:
        for group in self._groups.values():
            if board.id in group.placement:
                group.placement.remove(board.id)
                self._tell_capacity(group)

    def left(self, board: Board) -> None:
        self.stopped(board)
        self._requeue(board, sorted(board.held, key=self._sent_s), "the board was lost", counts=True)

    def _sent_s(self, trial_id: str) -> float:
        pending = self._trials.get(trial_id)
        return pending.sent_s if pending else 0.0

    def started(self, board: Board, trial_id: str) -> None:
        """The board executes a trial from now on."""
        if trial_id in board.held:
            board.executing_since = self._clock()

    def give_back(self, board: Board, trial_ids: tuple[str, ...], reason: str) -> None:
        """The board did not run these. From one that does not drain it counts as a loss, so that it ends."""
        self._requeue(board, [t for t in trial_ids if t in board.held], reason, counts=not board.draining)
        self._fill(board)

    def _requeue(self, board: Board, trial_ids: list[str], reason: str, *, counts: bool) -> None:
        groups: dict[tuple[str, str, bool], Stream] = {}
        for trial_id in reversed(trial_ids):
            pending = self._trials.get(trial_id)
            self._release(board, trial_id, pending.account if pending else "", None)
            if pending is None or pending.board is not board or pending.state is not _State.SENT:
                continue
            pending.board = None
            pending.losses += counts
            if pending.losses >= MAX_LOSSES:
                detail = f"{pending.losses} boards in a row did not answer, the last was {board.device.name}: {reason}"
                self._unplaceable(pending, detail)
                continue
            pending.state = _State.QUEUED
            pending.stream.queue.appendleft(pending)
            groups[pending.stream.selection.key] = pending.stream
        for key, stream in groups.items():
            self._pump(self._groups[key], stream)

    def _unplaceable(self, pending: _Pending, detail: str) -> None:
        measurement = Measurement(pending.request.trial_id, Outcome.UNPLACEABLE, detail=detail)
        measurement = replace(measurement, device_class=pending.stream.opened.device_class)
        self._settle(pending, measurement, None)

    def result(self, board: Board, measurement: Measurement) -> None:
        """A board answers. Acknowledged when it is stored, at once when nobody waits for it."""
        trial_id = measurement.trial_id
        pending = self._trials.get(trial_id)
        now = self._clock()
        used_s = max(0.0, measurement.timeline.finished_s - measurement.timeline.started_s)
        if trial_id in board.held:
            board.utilisation.add(now, used_s)
            board.executing_since = None
            self._release(board, trial_id, pending.account if pending else "", used_s)
        if pending is None or pending.state is _State.STORING:
            if pending is None:
                board.send(Acknowledge((trial_id,)))
            else:
                pending.to_ack.append(board)
            self._fill(board)
            return
        board.measured += 1
        if measurement.outcome in (None, Outcome.CANCELLED) and pending.board is board:
            self._put_back(board, pending)
        else:
            self._take(board, pending, measurement)
        self._fill(board)

    def _put_back(self, board: Board, pending: _Pending) -> None:
        board.send(Acknowledge((pending.request.trial_id,)))
        board.held.add(pending.request.trial_id)
        self._share.dispatched(pending.account)
        self._requeue(board, [pending.request.trial_id], "the board cancelled it by itself", counts=True)

    def _take(self, board: Board, pending: _Pending, measurement: Measurement) -> None:
        if pending.board is not None and pending.board is not board:
            pending.board.send(Cancel((measurement.trial_id,)))
            other = pending.board
            self._release(other, measurement.trial_id, pending.account, None)
            pending.board = None
            self._fill(other)
        pending.board = board
        context = pending.context
        timeline = replace(
            measurement.timeline,
            proposed_s=context.proposed_s if context else 0.0,
            built_s=context.built_s if context else 0.0,
            queued_s=pending.queued_s,
            sent_s=pending.sent_s,
        )
        device = board.device
        measurement = replace(
            _sound(measurement),
            device_id=device.id,
            device_name=device.name,
            device_class=device.device_class,
            timeline=timeline,
        )
        pending.to_ack.append(board)
        self._settle(pending, measurement, board)

    def _settle(self, pending: _Pending, measurement: Measurement, board: Board | None) -> None:
        pending.state = _State.STORING
        if pending.context is None:
            self._done(pending, measurement)
            return
        record = self._record(pending.stream, measurement, pending.context, pending.request.plan, board)
        # Outputs are not stored; the client that waits gets them.
        self._store.put(
            record, lambda kept: self._done(pending, replace(kept.measurement, outputs=measurement.outputs))
        )

    def _done(self, pending: _Pending, measurement: Measurement) -> None:
        self._forget(pending)
        for board in pending.to_ack:
            board.send(Acknowledge((measurement.trial_id,)))
        if pending.context is None:
            self._answer(pending.stream, measurement)
        else:
            self._kept(pending.stream, measurement)

    def _kept(self, stream: Stream, measurement: Measurement) -> None:
        job_id = stream.opened.job_id
        if job_id in self._known:
            self._known[job_id].add(measurement.trial_id)
        self._recorded(job_id)
        self._answer(stream, measurement)

    def _answer(self, stream: Stream, measurement: Measurement) -> None:
        if measurement.outcome:
            self.answered[measurement.outcome] += 1
        stream.deliver(measurement)
        stream.idle.set()

    def _forget(self, pending: _Pending) -> None:
        pending.state = _State.DONE
        trial_id = pending.request.trial_id
        if self._trials.get(trial_id) is pending:
            del self._trials[trial_id]
        if pending.stream.pending.pop(trial_id, None) is not None:
            pending.stream.bytes -= len(pending.request.program.library.inline)

    def _record(
        self,
        stream: Stream,
        measurement: Measurement,
        context: RecordContext,
        plan: TimingPlan,
        board: Board | None,
    ) -> Record:
        versions = {"farm": self._version, **context.versions}
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
            measurement=replace(measurement, outputs=()),
            plan=plan,
            versions=versions,
            runner_mode=board.device.runner.mode if board else None,
            user=stream.user,
        )

    # Placing.

    def _offer(self, group: _Group, board: Board) -> None:
        if board.takes_work and group.selection.admits(board.device):
            group.placement.put(board.id, board.slots, len(board.held))
        else:
            group.placement.remove(board.id)

    def _tell_capacity(self, group: _Group) -> None:
        capacity = group.capacity()
        for stream in group.streams.values():
            stream.deliver(capacity)

    def _hold_changed(self, board: Board) -> None:
        for group in self._groups.values():
            if board.id in group.placement:
                group.placement.put(board.id, board.slots, len(board.held))

    def _pump(self, group: _Group, stream: Stream) -> None:
        """Place what is queued in ``stream``. Where a slot is free no other stream waits for it."""
        while (pending := _head(stream)) and (board_id := group.placement.least_held()):
            self._send(pending, self._fleet.board(board_id))

    def _fill(self, board: Board) -> None:
        """Give a board's free slots to those whose turn it is."""
        while board.takes_work and len(board.held) < board.slots:
            waiting = {
                stream.id: pending
                for group in self._groups.values()
                if board.id in group.placement
                for stream in group.streams.values()
                if (pending := _head(stream))
            }
            turn = self._share.next(waiting)
            if turn is None:
                return
            self._send(waiting[turn], board)

    def _send(self, pending: _Pending, board: Board) -> None:
        pending.stream.queue.popleft()
        pending.state, pending.board, pending.sent_s = _State.SENT, board, self._clock()
        pending.account = pending.stream.id
        self.waited.observe(pending.sent_s - pending.queued_s)
        self._share.dispatched(pending.account)
        board.held.add(pending.request.trial_id)
        self._hold_changed(board)
        board.send(pending.request)

    def _release(self, board: Board, trial_id: str, account: str, used_s: float | None) -> None:
        if trial_id in board.held:
            board.held.discard(trial_id)
            self._share.returned(account, used_s)
            self._hold_changed(board)


def _head(stream: Stream) -> _Pending | None:
    queue = stream.queue
    while queue and queue[0].state is not _State.QUEUED:
        queue.popleft()
    return queue[0] if queue else None


def _cancelled(trial_id: str, stream: Stream) -> Measurement:
    return Measurement(trial_id, Outcome.CANCELLED, detail=f"job {stream.opened.job_id} was cancelled")


def _check(request: MeasureRequest) -> None:
    if not request.trial_id:
        raise InvalidRequest("a trial came without a trial_id")
    if request.program.kind is None or not request.program.entry:
        raise InvalidRequest(f"trial {request.trial_id} names no kind of program or no entry")
    if request.plan.number < 1 or request.plan.repeat < 1:
        raise InvalidRequest(f"trial {request.trial_id}: number and repeat of its timing plan must be at least 1")
    if request.limits.run_timeout_s <= 0:
        raise InvalidRequest(f"trial {request.trial_id}: its run_timeout_s must be above 0")


def _sound(measurement: Measurement) -> Measurement:
    """A board that says OK without usable timings did not time anything."""
    secs = measurement.run_secs
    if measurement.outcome is Outcome.OK and not (secs and all(math.isfinite(s) and s >= 0 for s in secs)):
        detail = f"the board answered OK with the timings {list(secs)}"
        return replace(measurement, outcome=Outcome.RUN_ERROR, detail=detail, run_secs=())
    return measurement
