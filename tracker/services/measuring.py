"""Trials to boards and measurements back: every trial of an open stream is answered once.

A trial is queued, sent to a board, and either answered at once or, when it is to be recorded, after its record is
committed. A board that is lost returns its trials to the head of their queues; one that gives trials back gets others,
and after several in a row none for a while (quarantine). The first measurement of a pending trial wins, wherever it
comes from; any other is acknowledged and dropped.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from tracker.domain import (
    FailedBuild,
    Measurement,
    OpenMeasure,
    Outcome,
    Record,
    RecordContext,
    Timeline,
)
from tracker.domain.changed import changed
from tracker.domain.errors import InvalidRequest, NotFound, NotPossible
from tracker.domain.job import check_priority
from tracker.services.artifacts import ArtifactStore
from tracker.services.board import Acknowledge, Board, Cancel
from tracker.services.dispatch import Dispatch
from tracker.services.fleet import Fleet
from tracker.services.histogram import Histogram
from tracker.services.sealed import SealedRequest
from tracker.services.store_thread import StoreThread
from tracker.services.trials import Answer, Pending, Stream, TrialState, cancelled, check, record_of, sound

__all__ = ["MAX_LOSSES", "Measuring"]

log = logging.getLogger(__name__)

#: A trial that was on this many boards when they were lost may be what takes them down. One that was given back this
#: often, by every board that fits, has no place.
MAX_LOSSES = 3
#: Libraries that one stream may have waiting here; beyond it the stream is read no further until some are answered.
STREAM_BYTES = 256 << 20


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
        self._dispatch = Dispatch(fleet, clock)
        self._trials: dict[str, Pending] = {}
        self._known: dict[str, set[str]] = {}
        self.answered = dict.fromkeys(Outcome, 0)

    @property
    def queued(self) -> int:
        """Trials that wait for a board."""
        return sum(pending.state is TrialState.QUEUED for pending in self._trials.values())

    @property
    def waited(self) -> Histogram:
        return self._dispatch.waited

    # Streams and their trials.

    async def open(self, opened: OpenMeasure, deliver: Callable[[Answer], None]) -> Stream:
        """Start a stream; its capacity is delivered first.

        Raises NotFound for an unknown pool or job, NotPossible for a job that has ended, InvalidRequest for a
        priority that there is not.
        """
        self._fleet.pool(opened.pool)
        check_priority(opened.priority)
        if opened.job_id:
            job_id = opened.job_id
            job = await self._store.call(lambda s: s.job(job_id))
            if job is None:
                raise NotFound(f"there is no job '{job_id}'")
            if job.state is None or job.state.final:
                raise NotPossible(f"job {job.id} is {job.state and job.state.value}: it measures no more")
            opened = replace(opened, user=job.spec.user, priority=job.spec.priority)
            if job_id not in self._known:
                recorded = await self._store.call(lambda s: s.trial_ids(job_id))
                self._known.setdefault(job_id, set()).update(recorded)
        stream = Stream(str(next(self._numbers)), opened, deliver)
        self._dispatch.open(stream)
        log.info("%s measures on pool %s %s", opened.client, opened.pool, opened.device_class)
        return stream

    def close(self, stream: Stream) -> None:
        """The client went away: what is queued is dropped, what runs is cancelled."""
        self._drop(stream)
        self._dispatch.close(stream)
        job_id = stream.opened.job_id
        if not any(other.opened.job_id == job_id for other in self._dispatch.streams()):
            self._known.pop(job_id, None)

    async def settled(self, stream: Stream) -> None:
        """Returns when the stream has no unanswered trial; its client sends no more."""
        await stream.until(lambda: not stream.pending and not stream.storing)

    def cancel_job(self, job_id: str) -> None:
        """Every trial of the job that is not being stored is answered CANCELLED, those to come as well."""
        for stream in [s for s in self._dispatch.streams() if s.opened.job_id == job_id]:
            stream.cancelled = True
            for trial_id in self._drop(stream):
                self._answer(stream, cancelled(trial_id, job_id))

    def _drop(self, stream: Stream) -> list[str]:
        dropped = [p for p in stream.pending.values() if p.state is not TrialState.STORING]
        stream.queue.clear()
        held: dict[Board, list[Pending]] = {}
        for pending in dropped:
            self._forget(pending)
            if pending.board is not None:
                held.setdefault(pending.board, []).append(pending)
        for board, pendings in held.items():
            self._take_back(board, *pendings)
        return [pending.id for pending in dropped]

    def _take_back(self, board: Board, *pendings: Pending) -> None:
        board.send(Cancel(tuple(pending.id for pending in pendings)))
        for pending in pendings:
            self._dispatch.release(board, pending.id, pending.account, None)
        self._dispatch.fill(board)

    async def submit(self, stream: Stream, request: SealedRequest, context: RecordContext | None) -> None:
        """Measure a trial; with ``context`` it is recorded.

        One that is pending here is the same trial; one with a record is answered from it.

        Returns late when the stream has too much waiting. Raises InvalidRequest for a trial that cannot be sent to
        any board as it stands.
        """
        check(request)
        if await self._known_already(stream, request.trial_id):
            return
        for digest in request.named:
            if digest not in self._artifacts:
                raise InvalidRequest(f"trial {request.trial_id} needs the artifact {digest}, not stored here")
        if request.carried:
            request = await self._portable(request)
            # That took its time: the same trial or a cancellation may have come meanwhile.
            if await self._known_already(stream, request.trial_id):
                return
        pending = Pending(stream, request, context, self._clock())
        self._trials[pending.id] = pending
        stream.add(pending)
        stream.queue.append(pending)
        self._dispatch.pump(stream)
        if stream.bytes > STREAM_BYTES:
            await stream.until(lambda: stream.bytes <= STREAM_BYTES)

    async def fail_build(self, stream: Stream, build: FailedBuild) -> None:
        """Record and answer a candidate that was never built. Raises InvalidRequest for another outcome."""
        if build.outcome not in (Outcome.BUILD_ERROR, Outcome.BUILD_TIMEOUT):
            raise InvalidRequest(f"trial {build.trial_id}: a failed build is a build error or a build timeout")
        if await self._known_already(stream, build.trial_id):
            return
        context = build.context
        measurement = Measurement(
            build.trial_id,
            build.outcome,
            detail=build.detail,
            device_class=stream.opened.device_class,
            timeline=context.timeline if context else Timeline(),
        )
        if context is None:
            self._answer(stream, measurement)
            return

        def kept(record: Record) -> None:
            stream.storing -= 1
            self._kept(stream, record.measurement)

        stream.storing += 1
        self._store.put(record_of(stream, measurement, context, build.plan, self._version), kept)

    def cancel(self, stream: Stream, trial_id: str) -> None:
        """Answer a trial CANCELLED unless its measurement is here already; an unknown one is ignored."""
        pending = stream.pending.get(trial_id)
        if pending is None or pending.state is TrialState.STORING:
            return
        self._forget(pending)
        self._answer(stream, Measurement(trial_id, Outcome.CANCELLED, detail="cancelled by its client"))
        if pending.board is not None:
            self._take_back(pending.board, pending)

    async def _known_already(self, stream: Stream, trial_id: str) -> bool:
        """Whether the trial needs nothing more here: cancelled with its job, answered before, or on its way."""
        if stream.cancelled:
            self._answer(stream, cancelled(trial_id, stream.opened.job_id))
            return True
        if trial_id in self._known.get(stream.opened.job_id, ()):
            record = await self._store.call(lambda s: s.record(trial_id))
            if record is not None:
                # It was counted when it was measured.
                stream.answer(record.measurement)
                return True
        pending = self._trials.get(trial_id)
        return pending is not None and self._adopted(stream, pending)

    def _adopted(self, stream: Stream, pending: Pending) -> bool:
        """A trial of an older stream changes over to this one of the same client."""
        if pending.stream is stream:
            return True
        if pending.state is TrialState.QUEUED:
            self._forget(pending)
            return False
        pending.stream.remove(pending)
        pending.stream = stream
        stream.add(pending)
        return True

    async def _portable(self, request: SealedRequest) -> SealedRequest:
        for artifact in request.carried:
            await self._artifacts.put_bytes(artifact)
        return replace(request, carried=(), payload=request.payload.without_files())

    # Boards: the fleet calls joined, left and stopped.

    def joined(self, board: Board) -> None:
        self._dispatch.offer(board)

    def stopped(self, board: Board) -> None:
        self._dispatch.withdraw(board)
        self._dispatch.pump_all()

    def left(self, board: Board) -> None:
        self._dispatch.withdraw(board)
        held = sorted(board.held, key=lambda t: self._trials[t].sent_s if t in self._trials else 0.0)
        self._requeue(board, held, "the board was lost")
        self._dispatch.pump_all()

    def felt(self, board: Board) -> None:
        self._dispatch.felt(board)

    def tick(self) -> None:
        """To be called about once a second: answers trials that no board has memory for."""
        for pending, reason in self._dispatch.without_room(self._clock()):
            self._unplaceable(pending, reason)

    def started(self, board: Board, trial_id: str) -> None:
        """The board executes a trial from now on."""
        if trial_id in board.held:
            pending = self._trials.get(trial_id)
            board.began(trial_id, self._clock(), pending.request.memory_bytes if pending else 0)

    def give_back(self, board: Board, trial_ids: tuple[str, ...], reason: str) -> None:
        """The board did not run these. They go to other boards; one that drains, or has no room, is no worse for it."""
        held = [t for t in trial_ids if t in board.held]
        if held and not (board.draining or board.disk_fault):
            self._dispatch.refused(board, reason)
        self._requeue(board, held, reason)
        self._dispatch.fill(board)

    def _requeue(self, board: Board, trial_ids: list[str], reason: str) -> None:
        streams: dict[str, Stream] = {}
        for trial_id in reversed(trial_ids):
            pending = self._trials.get(trial_id)
            self._dispatch.release(board, trial_id, pending.account if pending else "", None)
            if pending is None or pending.board is not board or pending.state is not TrialState.SENT:
                continue
            pending.board = None
            if not board.connected:
                pending.losses += 1
            elif not (board.draining or board.disk_fault):
                pending.refusals += 1
                pending.refused_by.add(board.id)
            if self._has_no_place(pending, board):
                tries = pending.losses + pending.refusals
                last = f"the last was {board.device.name}: {reason}"
                self._unplaceable(pending, f"{tries} times in a row a board was lost with it or gave it back, {last}")
                continue
            pending.state = TrialState.QUEUED
            pending.stream.queue.appendleft(pending)
            streams[pending.stream.id] = pending.stream
        for stream in streams.values():
            self._dispatch.pump(stream)

    def _has_no_place(self, pending: Pending, board: Board) -> bool:
        if pending.losses >= MAX_LOSSES:
            return True
        # Only a board that is there can be the last to refuse it: a trial waits for an empty farm.
        tries = pending.losses + pending.refusals
        return tries >= MAX_LOSSES and board.connected and not self._dispatch.untried(pending)

    def _unplaceable(self, pending: Pending, detail: str) -> None:
        self._settle(
            pending,
            Measurement(
                pending.id,
                Outcome.UNPLACEABLE,
                detail=detail,
                device_class=pending.stream.opened.device_class,
                timeline=pending.timeline,
            ),
            None,
        )

    def result(self, board: Board, measurement: Measurement) -> None:
        """A board answers. Acknowledged when it is stored, at once when nobody waits for it."""
        trial_id = measurement.trial_id
        board.answered(measurement.outcome)
        pending = self._trials.get(trial_id)
        if pending is not None and pending.board is board and measurement.outcome in (None, Outcome.CANCELLED):
            board.send(Acknowledge((trial_id,)))
            self.give_back(board, (trial_id,), "it cancelled the trial by itself")
            return
        if trial_id in board.held:
            used_s = max(0.0, measurement.timeline.finished_s - measurement.timeline.started_s)
            self._dispatch.release(board, trial_id, pending.account if pending else "", used_s)
        if pending is None:
            board.send(Acknowledge((trial_id,)))
        elif pending.state is TrialState.STORING:
            pending.to_ack.append(board)
        else:
            board.measured += 1
            board.refusals = 0
            self._take(board, pending, measurement)
        self._dispatch.fill(board)

    def _take(self, board: Board, pending: Pending, measurement: Measurement) -> None:
        other, pending.board = pending.board, board
        if other is not None and other is not board:
            self._take_back(other, pending)
        device, steps = board.device, measurement.timeline
        measurement = changed(
            sound(measurement),
            device_id=device.id,
            device_name=device.name,
            device_class=device.device_class,
            timeline=pending.timeline_with(steps, self._clock()),
        )
        pending.to_ack.append(board)
        self._settle(pending, measurement, board)

    # Answers.

    def _settle(self, pending: Pending, measurement: Measurement, board: Board | None) -> None:
        pending.state = TrialState.STORING
        if pending.context is None:
            self._done(pending, measurement)
            return

        def kept(record: Record) -> None:
            # Outputs are not stored; the client that waits gets them.
            stored = record.measurement
            self._done(pending, replace(stored, outputs=measurement.outputs) if measurement.outputs else stored)

        record = record_of(pending.stream, measurement, pending.context, pending.request.plan, self._version, board)
        self._store.put(record, kept)

    def _done(self, pending: Pending, measurement: Measurement) -> None:
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
        stream.answer(measurement)

    def _forget(self, pending: Pending) -> None:
        pending.state = TrialState.DONE
        if self._trials.get(pending.id) is pending:
            del self._trials[pending.id]
        pending.stream.remove(pending)
