"""Service Control, the log's exchange with others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import control_pb2, control_pb2_grpc, record_pb2
from tvm_farm.tracker.domain.exchange import HistoryFilter, ImportPart
from tvm_farm.tracker.services.exchange import Exchange
from tvm_farm.tracker.wire.values import read

__all__ = ["TuningLogServicer"]


class TuningLogServicer(control_pb2_grpc.ControlServicer):
    _exchange: Exchange

    async def ImportRecords(
        self, requests: AsyncIterator[control_pb2.ImportPart], context: Any
    ) -> control_pb2.ImportReport:
        async def parts() -> AsyncIterator[ImportPart]:
            async for message in requests:
                yield read(ImportPart, message)

        return to_message(control_pb2.ImportReport, await self._exchange.take(parts()))

    async def FindUnknownTrials(self, request: control_pb2.TrialIds, context: Any) -> control_pb2.TrialIds:
        return control_pb2.TrialIds(trial_ids=await self._exchange.unknown_trials(list(request.trial_ids)))

    async def ListHistory(self, request: record_pb2.HistoryFilter, context: Any) -> None:
        async for line in self._exchange.history(read(HistoryFilter, request)):
            await context.write(to_message(record_pb2.HistoryLine, line))

    async def CompactRecords(self, request: control_pb2.CompactRequest, context: Any) -> None:
        # Whoever leaves ends it at once, so that the next one may begin.
        async with aclosing(self._exchange.compact(request.keep, request.dry_run)) as steps:
            async for step in steps:
                await context.write(to_message(control_pb2.Compaction, step))
