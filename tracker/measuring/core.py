"""What comes of every trial, decided without a clock, a network or a disk: ``handle(event, now) -> effects``.

A trial is queued, sent to a board, and either answered at once or, when it is to be recorded, after its record is
written. A board that is lost returns its trials to the head of their queues; one that gives trials back gets others,
and after several in a row none for a while (quarantine). The first measurement of a pending trial wins, wherever it
comes from; any other is acknowledged and dropped.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tvm_farm.tracker.domain import FailedBuild, Measurement, Outcome, Timeline
from tvm_farm.tracker.domain.fast_replace import fast_replace
from tvm_farm.tracker.domain.outcomes import meaning
from tvm_farm.tracker.measuring import events
from tvm_farm.tracker.measuring.board import Acknowledge, Board, Boards, Cancel
from tvm_farm.tracker.measuring.dispatch import Dispatch
from tvm_farm.tracker.measuring.effects import Deliver, Effect, JobRecorded, Send, Write
from tvm_farm.tracker.measuring.histogram import Histogram
from tvm_farm.tracker.measuring.moment import Moment
from tvm_farm.tracker.measuring.stream import Stream
from tvm_farm.tracker.measuring.trial import PendingTrial, TrialState, cancelled, record_of, sound

__all__ = ["MAX_LOSSES", "MeasuringCore"]

log = logging.getLogger(__name__)

#: A trial that was on this many boards when they were lost may be what takes them down. One that was given back this
#: often, by every board that fits, has no place.
MAX_LOSSES = 3


class MeasuringCore:
    """Every trial of an open stream is answered once. ``answered`` counts, by outcome."""

    def __init__(self, boards: Boards, tracker_version: str) -> None:
        self._version = tracker_version
        self._effects: list[Effect] = []
        self._dispatch = Dispatch(boards, lambda effect: self._effects.append(effect))
        self._trials: dict[str, PendingTrial] = {}
        #: By job: its trials that are in the log.
        self._recorded: dict[str, set[str]] = {}
        self._handlers: dict[type[events.Event], Callable[[Any, Moment], None]] = {
            events.StreamOpened: self._stream_opened,
            events.StreamClosed: self._stream_closed,
            events.TrialSubmitted: self._trial_submitted,
            events.BuildFailed: self._build_failed,
            events.TrialCancelled: self._trial_cancelled,
            events.JobCancelled: self._job_cancelled,
            events.BoardJoined: lambda event, now: self._dispatch.offer(event.board, now),
            events.BoardStopped: self._board_stopped,
            events.BoardLeft: self._board_left,
            events.BoardFelt: lambda event, now: self._dispatch.fill(event.board, now),
            events.TrialStarted: self._trial_started,
            events.TrialsReturned: lambda event, now: self._give_back(event.board, event.trial_ids, event.reason, now),
            events.TrialMeasured: self._trial_measured,
            events.Written: self._written,
            events.Tick: self._tick,
        }
        self.answered = dict.fromkeys(Outcome, 0)

    def handle(self, event: events.Event, now: Moment) -> list[Effect]:
        """What is to be done because of ``event``, in this order."""
        self._effects = []
        self._handlers[type(event)](event, now)
        return self._effects

    @property
    def queued(self) -> int:
        """Trials that wait for a board."""
        return sum(trial.state is TrialState.QUEUED for trial in self._trials.values())

    @property
    def waited(self) -> Histogram:
        """How long trials were queued."""
        return self._dispatch.waited

    def knows_records_of(self, job_id: str) -> bool:
        """Whether it was told which trials of the job are in the log."""
        return job_id in self._recorded

    def is_recorded(self, stream: Stream, trial_id: str) -> bool:
        """Whether the log has this trial of the stream's job, so that nobody needs to measure it."""
        return not stream.cancelled and trial_id in self._recorded.get(stream.opened.job_id, ())

    def needs_files(self, stream: Stream, trial_id: str) -> bool:
        """Whether a trial that comes again would be sent to a board, not be taken as the one that is on its way."""
        trial = self._trials.get(trial_id)
        on_its_way = trial is not None and (trial.stream is stream or trial.state is not TrialState.QUEUED)
        return not (stream.cancelled or on_its_way)

    # Streams and their trials.

    def _stream_opened(self, event: events.StreamOpened, now: Moment) -> None:
        opened = event.stream.opened
        if opened.job_id:
            self._recorded.setdefault(opened.job_id, set()).update(event.recorded)
        self._dispatch.open(event.stream)
        log.info("%s measures on pool %s %s", opened.client, opened.pool, opened.device_class)

    def _stream_closed(self, event: events.StreamClosed, now: Moment) -> None:
        self._drop(event.stream, now)
        self._dispatch.close(event.stream)
        job_id = event.stream.opened.job_id
        if not any(other.opened.job_id == job_id for other in self._dispatch.streams()):
            self._recorded.pop(job_id, None)

    def _trial_submitted(self, event: events.TrialSubmitted, now: Moment) -> None:
        stream = event.stream
        if self._needs_nothing(stream, event.request.trial_id):
            return
        trial = PendingTrial(stream, event.request, event.context, now)
        self._trials[trial.id] = trial
        stream.add(trial)
        stream.queue.append(trial)
        self._dispatch.pump(stream, now)

    def _build_failed(self, event: events.BuildFailed, now: Moment) -> None:
        stream, build = event.stream, event.build
        if self._needs_nothing(stream, build.trial_id):
            return
        measurement = _not_built(stream, build)
        if build.context is None:
            self._answer(stream, measurement)
            return
        stream.storing += 1
        record = record_of(stream, measurement, build.context, build.plan, self._version)
        self._effects.append(Write(stream, record))

    def _trial_cancelled(self, event: events.TrialCancelled, now: Moment) -> None:
        trial = event.stream.pending.get(event.trial_id)
        if trial is None or trial.state is TrialState.STORING:
            return
        self._forget(trial)
        self._answer(event.stream, Measurement(trial.id, Outcome.CANCELLED, detail="cancelled by its client"))
        if trial.board is not None:
            self._take_back(trial.board, (trial,), now)

    def _job_cancelled(self, event: events.JobCancelled, now: Moment) -> None:
        for stream in [s for s in self._dispatch.streams() if s.opened.job_id == event.job_id]:
            stream.cancelled = True
            for trial_id in self._drop(stream, now):
                self._answer(stream, cancelled(trial_id, event.job_id))

    def _needs_nothing(self, stream: Stream, trial_id: str) -> bool:
        """Whether a trial that comes is answered here, its job being cancelled, or is on its way already."""
        if stream.cancelled:
            self._answer(stream, cancelled(trial_id, stream.opened.job_id))
            return True
        trial = self._trials.get(trial_id)
        if trial is None:
            return False
        if trial.stream is stream:
            return True
        if trial.state is TrialState.QUEUED:
            self._forget(trial)
            return False
        # A trial of an older stream changes over to this one of the same client.
        trial.stream.remove(trial)
        trial.stream = stream
        stream.add(trial)
        return True

    def _drop(self, stream: Stream, now: Moment) -> list[str]:
        dropped = [trial for trial in stream.pending.values() if trial.state is not TrialState.STORING]
        stream.queue.clear()
        held: dict[Board, list[PendingTrial]] = {}
        for trial in dropped:
            self._forget(trial)
            if trial.board is not None:
                held.setdefault(trial.board, []).append(trial)
        for board, trials in held.items():
            self._take_back(board, trials, now)
        return [trial.id for trial in dropped]

    def _take_back(self, board: Board, trials: Iterable[PendingTrial], now: Moment) -> None:
        self._effects.append(Send(board, Cancel(tuple(trial.id for trial in trials))))
        for trial in trials:
            self._dispatch.release(board, trial.id, trial.account, None, now)
        self._dispatch.fill(board, now)

    # Boards.

    def _board_stopped(self, event: events.BoardStopped, now: Moment) -> None:
        self._dispatch.withdraw(event.board)
        self._dispatch.pump_all(now)

    def _board_left(self, event: events.BoardLeft, now: Moment) -> None:
        board = event.board
        self._dispatch.withdraw(board)
        held = sorted(board.held, key=lambda t: self._trials[t].sent_s if t in self._trials else 0.0)
        self._requeue(board, held, "the board was lost", now)
        self._dispatch.pump_all(now)

    def _tick(self, event: events.Tick, now: Moment) -> None:
        self._dispatch.tick(now)
        for trial, reason in self._dispatch.without_room(now):
            self._unplaceable(trial, reason)

    def _trial_started(self, event: events.TrialStarted, now: Moment) -> None:
        if event.trial_id in event.board.held:
            trial = self._trials.get(event.trial_id)
            event.board.began(event.trial_id, now.unix_s, trial.request.memory_bytes if trial else 0)

    def _give_back(self, board: Board, trial_ids: tuple[str, ...], reason: str, now: Moment) -> None:
        """A board that drains, or has no room, is no worse for it."""
        held = [t for t in trial_ids if t in board.held]
        if held and not (board.draining or board.disk_fault):
            self._dispatch.refused(board, reason, now)
        self._requeue(board, held, reason, now)
        self._dispatch.fill(board, now)

    def _requeue(self, board: Board, trial_ids: list[str], reason: str, now: Moment) -> None:
        streams: dict[str, Stream] = {}
        for trial_id in reversed(trial_ids):
            trial = self._trials.get(trial_id)
            self._dispatch.release(board, trial_id, trial.account if trial else "", None, now)
            if trial is None or trial.board is not board or trial.state is not TrialState.SENT:
                continue
            trial.board = None
            if not board.connected:
                trial.losses += 1
            elif not (board.draining or board.disk_fault):
                trial.refusals += 1
                trial.refused_by.add(board.id)
            if self._has_no_place(trial, board):
                tries = trial.losses + trial.refusals
                last = f"the last was {board.device.name}: {reason}"
                self._unplaceable(trial, f"{tries} times in a row a board was lost with it or gave it back, {last}")
                continue
            trial.state = TrialState.QUEUED
            trial.stream.queue.appendleft(trial)
            streams[trial.stream.id] = trial.stream
        for stream in streams.values():
            self._dispatch.pump(stream, now)

    def _has_no_place(self, trial: PendingTrial, board: Board) -> bool:
        if trial.losses >= MAX_LOSSES:
            return True
        # Only a board that is there can be the last to refuse it: a trial waits for an empty farm.
        tries = trial.losses + trial.refusals
        return tries >= MAX_LOSSES and board.connected and not self._dispatch.untried(trial)

    def _unplaceable(self, trial: PendingTrial, detail: str) -> None:
        measurement = Measurement(
            trial.id,
            Outcome.UNPLACEABLE,
            detail=detail,
            device_class=trial.stream.opened.device_class,
            timeline=trial.timeline,
        )
        self._settle(trial, measurement, None)

    def _trial_measured(self, event: events.TrialMeasured, now: Moment) -> None:
        board, measurement = event.board, event.measurement
        trial_id = measurement.trial_id
        board.answered(measurement.outcome)
        trial = self._trials.get(trial_id)
        if trial is not None and trial.board is board and not meaning(measurement.outcome).measured:
            self._acknowledge(board, trial_id)
            self._give_back(board, (trial_id,), "it cancelled the trial by itself", now)
            return
        if trial_id in board.held:
            used_s = measurement.timeline.finished_s - measurement.timeline.started_s
            # By a broken clock it may be years, which its user would be charged for.
            most_s = max(now.unix_s - trial.sent_s, trial.request.run_timeout_s) if trial is not None else math.inf
            used_s = max(0.0, min(used_s, most_s))
            self._dispatch.release(board, trial_id, trial.account if trial else "", used_s, now)
        if trial is None:
            self._acknowledge(board, trial_id)
        elif trial.state is TrialState.STORING:
            trial.to_ack.append(board)
        else:
            board.measured += 1
            board.refusals = 0
            self._take(board, trial, measurement, now)
        self._dispatch.fill(board, now)

    def _take(self, board: Board, trial: PendingTrial, measurement: Measurement, now: Moment) -> None:
        other, trial.board = trial.board, board
        if other is not None and other is not board:
            self._take_back(other, (trial,), now)
        device = board.device
        measurement = fast_replace(
            sound(measurement),
            device_id=device.id,
            device_name=device.name,
            device_class=device.device_class,
            timeline=trial.timeline_with(measurement.timeline, now.unix_s),
        )
        trial.to_ack.append(board)
        self._settle(trial, measurement, board)

    # Answers.

    def _settle(self, trial: PendingTrial, measurement: Measurement, board: Board | None) -> None:
        trial.state = TrialState.STORING
        if trial.context is None:
            self._done(trial, measurement)
            return
        trial.outputs = measurement.outputs
        record = record_of(trial.stream, measurement, trial.context, trial.request.plan, self._version, board)
        self._effects.append(Write(trial, record))

    def _written(self, event: events.Written, now: Moment) -> None:
        about, measurement = event.about, event.record.measurement
        if isinstance(about, Stream):
            about.storing -= 1
            self._kept(about, measurement)
        else:
            self._done(about, replace(measurement, outputs=about.outputs) if about.outputs else measurement)

    def _done(self, trial: PendingTrial, measurement: Measurement) -> None:
        self._forget(trial)
        for board in trial.to_ack:
            self._acknowledge(board, trial.id)
        if trial.context is None:
            self._answer(trial.stream, measurement)
        else:
            self._kept(trial.stream, measurement)

    def _kept(self, stream: Stream, measurement: Measurement) -> None:
        job_id = stream.opened.job_id
        if job_id in self._recorded:
            self._recorded[job_id].add(measurement.trial_id)
        self._effects.append(JobRecorded(job_id))
        self._answer(stream, measurement)

    def _answer(self, stream: Stream, measurement: Measurement) -> None:
        self.answered[measurement.outcome] += 1
        self._effects.append(Deliver(stream, measurement))

    def _acknowledge(self, board: Board, trial_id: str) -> None:
        self._effects.append(Send(board, Acknowledge((trial_id,))))

    def _forget(self, trial: PendingTrial) -> None:
        trial.state = TrialState.DONE
        if self._trials.get(trial.id) is trial:
            del self._trials[trial.id]
        trial.stream.remove(trial)


def _not_built(stream: Stream, build: FailedBuild) -> Measurement:
    return Measurement(
        build.trial_id,
        build.outcome,
        detail=build.detail,
        device_class=stream.opened.device_class,
        timeline=Timeline(**build.context.prepared()) if build.context else Timeline(),
    )
