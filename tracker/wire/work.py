"""Service Work, for tuning workers: their life, and what a search asks."""

from __future__ import annotations

from typing import Any

import grpc.aio

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import job_pb2, measurement_pb2, work_pb2, work_pb2_grpc
from tvm_farm.tracker.domain import (
    CancelJob,
    FinishedSeen,
    JobFailure,
    JobProgress,
    JobResult,
    RecallRequest,
    StartJob,
    WorkerHello,
    WorkOrder,
)
from tvm_farm.tracker.domain.errors import InvalidRequest, TrackerError
from tvm_farm.tracker.services.recall import Recall
from tvm_farm.tracker.services.workers import SILENCE_S, Workers, WorkerSession
from tvm_farm.tracker.wire.two_way import OneByOne, Outbox, two_way
from tvm_farm.tracker.wire.values import read, read_given_name, read_numbers

__all__ = ["WorkServicer"]


class WorkServicer(work_pb2_grpc.WorkServicer):
    def __init__(self, workers: Workers, recall: Recall) -> None:
        self._workers = workers
        self._recall = recall

    async def Work(self, requests: Any, context: Any) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        if first.WhichOneof("message") != "hello":
            raise InvalidRequest("the first message of Work must be WorkerHello")
        outbox: Outbox[WorkOrder] = OneByOne(_order)
        try:
            read_given_name(first.hello.worker_id, "a worker's id")
            session = await self._workers.connect(read(WorkerHello, first.hello), outbox.send)
        except TrackerError as e:
            await context.write(work_pb2.WorkOrder(refused=str(e)))
            return
        try:

            async def handle(message: work_pb2.WorkerMessage) -> None:
                await self._work(session, message)

            await two_way(context, outbox, handle, silence_s=SILENCE_S)
        finally:
            self._workers.disconnected(session)

    async def _work(self, session: WorkerSession, message: work_pb2.WorkerMessage) -> None:
        kind = message.WhichOneof("message")
        if kind == "progress":
            await self._workers.progress(session, read_numbers(JobProgress, message.progress))
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

    async def Recall(self, request: work_pb2.RecallRequest, context: Any) -> work_pb2.RecallResponse:
        found = await self._recall.ask(read(RecallRequest, request))
        return work_pb2.RecallResponse(
            measurements=[to_message(measurement_pb2.Measurement, measurement) for measurement in found]
        )

    async def GetSearches(self, request: work_pb2.GetSearchesRequest, context: Any) -> None:
        async for past in self._recall.searches(request.job_id):
            await context.write(to_message(work_pb2.PastSearch, past))


def _order(order: WorkOrder) -> work_pb2.WorkOrder:
    if isinstance(order, StartJob):
        return work_pb2.WorkOrder(start=to_message(job_pb2.Job, order.job))
    if isinstance(order, CancelJob):
        return work_pb2.WorkOrder(cancel=order.job_id)
    assert isinstance(order, FinishedSeen)
    return work_pb2.WorkOrder(finished_seen=order.job_id)
