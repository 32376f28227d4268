"""Service Control, what a search asks: what the log has of its candidates, and what was searched before."""

from __future__ import annotations

from typing import Any

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import control_pb2, control_pb2_grpc, measurement_pb2
from tvm_farm.tracker.domain import RecallRequest
from tvm_farm.tracker.services.recall import Recall
from tvm_farm.tracker.wire.values import read

__all__ = ["SearchServicer"]


class SearchServicer(control_pb2_grpc.ControlServicer):
    def __init__(self, recall: Recall) -> None:
        self._recall = recall

    async def Recall(self, request: control_pb2.RecallRequest, context: Any) -> control_pb2.RecallResponse:
        found = await self._recall.ask(read(RecallRequest, request))
        return control_pb2.RecallResponse(
            measurements=[to_message(measurement_pb2.Measurement, measurement) for measurement in found]
        )

    async def GetSearches(self, request: control_pb2.GetJobRequest, context: Any) -> None:
        async for past in self._recall.searches(request.id):
            await context.write(to_message(control_pb2.PastSearch, past))
