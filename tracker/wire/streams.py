"""Service Control, the two streams: Measure for whoever has candidates, Work for tuning workers."""

from __future__ import annotations

from typing import Any

import grpc.aio

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import control_pb2, job_pb2
from tvm_farm.tracker.domain import (
    CancelJob,
    FailedBuild,
    FinishedSeen,
    JobFailure,
    JobProgress,
    JobResult,
    OpenMeasure,
    RecordContext,
    StartJob,
    WorkerHello,
    WorkOrder,
)
from tvm_farm.tracker.domain.errors import InvalidRequest, TrackerError
from tvm_farm.tracker.measuring.stream import Stream
from tvm_farm.tracker.services.measuring import Measuring
from tvm_farm.tracker.services.recall import Recall
from tvm_farm.tracker.services.workers import SILENCE_S, Workers, WorkerSession
from tvm_farm.tracker.wire.exchange import OneByOne, Outbox, exchange
from tvm_farm.tracker.wire.outboxes import ReplyOutbox
from tvm_farm.tracker.wire.requests import seal
from tvm_farm.tracker.wire.searching import SearchServicer
from tvm_farm.tracker.wire.values import read

__all__ = ["StreamServicer"]


class StreamServicer(SearchServicer):
    def __init__(self, measuring: Measuring, workers: Workers, recall: Recall) -> None:
        super().__init__(recall)
        self._measuring = measuring
        self._workers = workers

    async def Measure(self, requests: Any, context: Any) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        if not first.HasField("open"):
            raise InvalidRequest("the first message of Measure must be OpenMeasure")
        outbox = ReplyOutbox()
        stream = await self._measuring.open(read(OpenMeasure, first.open), outbox.send)
        try:

            async def handle(message: control_pb2.MeasureCall) -> None:
                await self._measure(stream, message)

            async def closed() -> None:
                await self._measuring.settled(stream)

            await exchange(context, outbox, handle, closed=closed)
        finally:
            self._measuring.close(stream)

    async def _measure(self, stream: Stream, message: control_pb2.MeasureCall) -> None:
        if message.HasField("open") or not message.ListFields():
            raise InvalidRequest(
                "Measure does not understand an empty message, nor a second OpenMeasure: upgrade the tracker"
            )
        # What is cancelled and sent in one message was cancelled first: a client never merges the other order.
        for trial_id in message.cancelled:
            self._measuring.cancel(stream, trial_id)
        for failed in message.failed_builds:
            await self._measuring.fail_build(stream, read(FailedBuild, failed))
        trials = [
            (seal(trial.request), read(RecordContext, trial.context) if trial.HasField("context") else None)
            for trial in message.trials
        ]
        recalled = await self._recall.of_stream(stream, trials)
        for measurement in recalled:
            self._measuring.answer(stream, measurement)
        answered = {measurement.trial_id for measurement in recalled}
        for request, context in trials:
            if request.trial_id not in answered:
                await self._measuring.submit(stream, request, context)

    async def Work(self, requests: Any, context: Any) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        if first.WhichOneof("message") != "hello":
            raise InvalidRequest("the first message of Work must be WorkerHello")
        outbox: Outbox[WorkOrder] = OneByOne(_order)
        try:
            session = await self._workers.connect(read(WorkerHello, first.hello), outbox.send)
        except TrackerError as e:
            await context.write(control_pb2.WorkOrder(refused=str(e)))
            return
        try:

            async def handle(message: control_pb2.WorkerMessage) -> None:
                await self._work(session, message)

            await exchange(context, outbox, handle, silence_s=SILENCE_S)
        finally:
            self._workers.disconnected(session)

    async def _work(self, session: WorkerSession, message: control_pb2.WorkerMessage) -> None:
        kind = message.WhichOneof("message")
        if kind == "progress":
            await self._workers.progress(session, read(JobProgress, message.progress))
        elif kind == "alive":
            session.warm = message.alive.warm
        elif kind == "finished":
            finished = message.finished
            outcome: JobResult | JobFailure
            if finished.WhichOneof("outcome") == "result":
                outcome = read(JobResult, finished.result)
            else:
                outcome = read(JobFailure, finished.failure)
            await self._workers.finished(session, finished.job_id, outcome)


def _order(order: WorkOrder) -> control_pb2.WorkOrder:
    if isinstance(order, StartJob):
        return control_pb2.WorkOrder(start=to_message(job_pb2.Job, order.job))
    if isinstance(order, CancelJob):
        return control_pb2.WorkOrder(cancel=order.job_id)
    assert isinstance(order, FinishedSeen)
    return control_pb2.WorkOrder(finished_seen=order.job_id)
