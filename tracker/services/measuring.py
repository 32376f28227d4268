"""Trials to boards and measurements back: the event loop around the measuring core.

What the core decides is done here: orders to boards, answers to clients, records to the store. Here is also what waits:
a client that sends too much, the store, files.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tvm_farm.tracker.domain import FailedBuild, Measurement, OpenMeasure, Outcome, Record, RecordContext
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound, NotPossible
from tvm_farm.tracker.domain.job import check_priority
from tvm_farm.tracker.domain.outcomes import MEANINGS, meaning
from tvm_farm.tracker.measuring import events
from tvm_farm.tracker.measuring.board import Board
from tvm_farm.tracker.measuring.core import MeasuringCore
from tvm_farm.tracker.measuring.effects import Deliver, Effect, JobRecorded, Send, Write
from tvm_farm.tracker.measuring.histogram import Histogram
from tvm_farm.tracker.measuring.moment import Moment
from tvm_farm.tracker.measuring.request import TrialRequest
from tvm_farm.tracker.measuring.stream import Answer, Stream
from tvm_farm.tracker.measuring.trial import check
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.store_thread import StoreThread

__all__ = ["Measuring"]

#: Libraries that one stream may have waiting here; beyond it the stream is read no further until some are answered.
STREAM_BYTES = 256 << 20


@dataclass
class _Client:
    """Where a stream's answers go; ``answered`` is set with each."""

    deliver: Callable[[Answer], None]
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when ``condition`` holds, which only an answer can bring about."""
        while not condition():
            self.answered.clear()
            await self.answered.wait()


class Measuring:
    """Used in the event loop alone. ``recorded`` is told the job of each new record.

    ``clock`` gives unix seconds; by ``steady``, which no one sets, waits are judged.
    """

    def __init__(
        self,
        fleet: Fleet,
        store: StoreThread,
        artifacts: ArtifactStore,
        tracker_version: str,
        recorded: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._thread = store
        self._store = store.store
        self._artifacts = artifacts
        self._recorded = recorded
        self._clock = clock
        self._steady = steady
        self._numbers = itertools.count(1)
        self._core = MeasuringCore(fleet, tracker_version)
        self._clients: dict[str, _Client] = {}

    @property
    def answered(self) -> dict[Outcome, int]:
        """Trials that were answered, by outcome."""
        return self._core.answered

    @property
    def queued(self) -> int:
        """Trials that wait for a board."""
        return self._core.queued

    @property
    def waited(self) -> Histogram:
        return self._core.waited

    def _handle(self, event: events.Event) -> None:
        for effect in self._core.handle(event, Moment(self._clock(), self._steady())):
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            effect.board.send(effect.order)
        elif isinstance(effect, Deliver):
            self.answer(effect.stream, effect.answer)
        elif isinstance(effect, Write):
            about = effect.about
            self._thread.put(effect.record, lambda record: self._handle(events.Written(about, record)))
        else:
            assert isinstance(effect, JobRecorded)
            self._recorded(effect.job_id)

    def answer(self, stream: Stream, answer: Answer) -> None:
        """To the stream's client, where it is still there."""
        client = self._clients.get(stream.id)
        if client is not None:
            client.deliver(answer)
            client.answered.set()

    # Streams and their trials.

    async def open(self, opened: OpenMeasure, deliver: Callable[[Answer], None]) -> Stream:
        """Start a stream; its capacity is delivered first.

        Raises NotFound for an unknown pool or job, NotPossible for a job that has ended, InvalidRequest for a
        priority that there is not.
        """
        self._fleet.pool(opened.pool)
        opened = replace(opened, device_class=self._fleet.class_named(opened.device_class))
        check_priority(opened.priority)
        recorded: frozenset[str] = frozenset()
        if opened.job_id:
            job_id = opened.job_id
            job = await self._thread.run(self._store.jobs.get, job_id)
            if job is None:
                raise NotFound(f"there is no job '{job_id}'")
            if job.state.final:
                raise NotPossible(f"job {job.id} is {job.state.value}: it measures no more")
            opened = replace(opened, user=job.spec.user, priority=job.spec.priority)
            if not self._core.knows_records_of(job_id):
                recorded = frozenset(await self._thread.run(self._store.records.of_job, job_id))
        stream = Stream(str(next(self._numbers)), opened)
        self._clients[stream.id] = _Client(deliver)
        self._handle(events.StreamOpened(stream, recorded))
        return stream

    def close(self, stream: Stream) -> None:
        """The client went away: what is queued is dropped, what runs is cancelled."""
        self._handle(events.StreamClosed(stream))
        self._clients.pop(stream.id, None)

    async def settled(self, stream: Stream) -> None:
        """Returns when the stream has no unanswered trial; its client sends no more."""
        await self._clients[stream.id].until(lambda: stream.settled)

    def cancel_job(self, job_id: str) -> None:
        """Every trial of the job that is not being stored is answered CANCELLED, those to come as well."""
        self._handle(events.JobCancelled(job_id))

    async def submit(self, stream: Stream, request: TrialRequest, context: RecordContext | None) -> None:
        """Measure a trial; with ``context`` it is recorded.

        One that is pending here is the same trial; one with a record is answered from it.

        Returns late when the stream has too much waiting. Raises InvalidRequest for a trial that cannot be sent to
        any board as it stands.
        """
        check(request)
        if await self._answered_from_log(stream, request.trial_id):
            return
        if self._core.needs_files(stream, request.trial_id):
            for digest in request.named:
                if digest not in self._artifacts:
                    raise InvalidRequest(f"trial {request.trial_id} needs the artifact {digest}, not stored here")
            if request.carried:
                request = await self._portable(request)
                # That took its time: the same trial may have been recorded meanwhile.
                if await self._answered_from_log(stream, request.trial_id):
                    return
        self._handle(events.TrialSubmitted(stream, request, context))
        if stream.bytes > STREAM_BYTES:
            await self._clients[stream.id].until(lambda: stream.bytes <= STREAM_BYTES)

    async def fail_build(self, stream: Stream, build: FailedBuild) -> None:
        """Record and answer a candidate that was never built. Raises InvalidRequest for another outcome."""
        if not meaning(build.outcome).unbuilt:
            kinds = " or ".join(outcome.value for outcome, row in MEANINGS.items() if row.unbuilt)
            raise InvalidRequest(f"trial {build.trial_id}: a failed build is a {kinds}")
        if not await self._answered_from_log(stream, build.trial_id):
            self._handle(events.BuildFailed(stream, build))

    def cancel(self, stream: Stream, trial_id: str) -> None:
        """Answer a trial CANCELLED unless its measurement is here already; an unknown one is ignored."""
        self._handle(events.TrialCancelled(stream, trial_id))

    async def _answered_from_log(self, stream: Stream, trial_id: str) -> bool:
        if not self._core.is_recorded(stream, trial_id):
            return False
        record: Record | None = await self._thread.run(self._store.records.get, trial_id)
        if record is None:
            return False
        # It was counted when it was measured.
        self.answer(stream, record.measurement)
        return True

    async def _portable(self, request: TrialRequest) -> TrialRequest:
        for artifact in request.carried:
            await self._artifacts.put_bytes(artifact)
        return replace(request, carried=(), payload=request.payload.without_files())

    # Boards: the fleet calls joined, left, stopped and felt.

    def joined(self, board: Board) -> None:
        self._handle(events.BoardJoined(board))

    def stopped(self, board: Board) -> None:
        self._handle(events.BoardStopped(board))

    def left(self, board: Board) -> None:
        self._handle(events.BoardLeft(board))

    def felt(self, board: Board) -> None:
        self._handle(events.BoardFelt(board))

    def tick(self) -> None:
        """To be called about once a second."""
        self._handle(events.Tick())

    def started(self, board: Board, trial_id: str) -> None:
        """The board executes a trial from now on."""
        self._handle(events.TrialStarted(board, trial_id))

    def give_back(self, board: Board, trial_ids: tuple[str, ...], reason: str) -> None:
        """The board did not run these. They go to other boards."""
        self._handle(events.TrialsReturned(board, trial_ids, reason))

    def result(self, board: Board, measurement: Measurement) -> None:
        """A board answers. Acknowledged when it is stored, at once when nobody waits for it."""
        self._handle(events.TrialMeasured(board, measurement))
