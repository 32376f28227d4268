"""Service Measuring, for whoever has candidates."""

from __future__ import annotations

from typing import Any

import grpc.aio

from tvm_farm.protos.farm.v1 import measuring_pb2, measuring_pb2_grpc
from tvm_farm.tracker.domain import FailedBuild, OpenMeasure, RecordContext
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.measuring.stream import Stream
from tvm_farm.tracker.services.measuring import Measuring
from tvm_farm.tracker.services.recall import Recall
from tvm_farm.tracker.wire.outboxes import ReplyOutbox
from tvm_farm.tracker.wire.requests import seal
from tvm_farm.tracker.wire.two_way import two_way
from tvm_farm.tracker.wire.values import read, read_given_name, read_numbers

__all__ = ["MeasuringServicer"]


class MeasuringServicer(measuring_pb2_grpc.MeasuringServicer):
    def __init__(self, measuring: Measuring, recall: Recall) -> None:
        self._measuring = measuring
        self._recall = recall

    async def Measure(self, requests: Any, context: Any) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        if not first.HasField("open"):
            raise InvalidRequest("the first message of Measure must be OpenMeasure")
        opened = read(OpenMeasure, first.open)
        if not opened.job_id:  # else its user is the job's
            read_given_name(opened.user, "a user's name")
        outbox = ReplyOutbox()
        stream = await self._measuring.open(opened, outbox.send)
        try:

            async def handle(message: measuring_pb2.MeasureCall) -> None:
                await self._measure(stream, message)

            async def closed() -> None:
                await self._measuring.settled(stream)

            await two_way(context, outbox, handle, closed=closed)
        finally:
            self._measuring.close(stream)

    async def _measure(self, stream: Stream, message: measuring_pb2.MeasureCall) -> None:
        if message.HasField("open") or not message.ListFields():
            raise InvalidRequest(
                "Measure does not understand an empty message, nor a second OpenMeasure: upgrade the tracker"
            )
        # What is cancelled and sent in one message was cancelled first: a client never merges the other order.
        for trial_id in message.cancelled:
            self._measuring.cancel(stream, trial_id)
        for failed in message.failed_builds:
            await self._measuring.fail_build(stream, read_numbers(FailedBuild, failed))
        trials = [
            (seal(trial.request), read_numbers(RecordContext, trial.context) if trial.HasField("context") else None)
            for trial in message.trials
        ]
        recalled = await self._recall.of_stream(stream, trials)
        for measurement in recalled:
            self._measuring.answer(stream, measurement)
        answered = {measurement.trial_id for measurement in recalled}
        for request, context in trials:
            if request.trial_id not in answered:
                await self._measuring.submit(stream, request, context)
