"""Service Log, for whoever reads what was measured or knows of more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import log_pb2, log_pb2_grpc, record_pb2
from tvm_farm.tracker.domain import Record, RecordFilter, Workload
from tvm_farm.tracker.domain.imports import HistoryFilter, ImportPart
from tvm_farm.tracker.services.log_upkeep import LogUpkeep
from tvm_farm.tracker.services.records import Records
from tvm_farm.tracker.wire.sql_answer import sql_answer
from tvm_farm.tracker.wire.values import read, read_numbers

__all__ = ["LogServicer"]


class LogServicer(log_pb2_grpc.LogServicer):
    def __init__(self, records: Records, upkeep: LogUpkeep, version: str) -> None:
        self._records = records
        self._upkeep = upkeep
        self._version = version

    async def QueryRecords(self, request: record_pb2.RecordFilter, context: Any) -> None:
        async for record in self._records.query(read(RecordFilter, request)):
            await context.write(to_message(record_pb2.Record, record))

    async def BestRecords(self, request: log_pb2.BestRecordsRequest, context: Any) -> log_pb2.BestRecordsResponse:
        best = await self._records.best(
            list(request.workloads),
            request.pool,
            request.device_class,
            request.target,
            request.per_workload,
            request.apart_from,
            request.near,
        )
        return log_pb2.BestRecordsResponse(records=[to_message(record_pb2.Record, record) for record in best])

    async def GetRecord(self, request: log_pb2.GetRecordRequest, context: Any) -> record_pb2.Record:
        return to_message(record_pb2.Record, await self._records.record(request.trial_id))

    async def GetWorkload(self, request: log_pb2.GetWorkloadRequest, context: Any) -> record_pb2.Workload:
        return to_message(record_pb2.Workload, await self._records.workload(request.key))

    async def QuerySql(self, request: record_pb2.SqlQuery, context: Any) -> None:
        for part in sql_answer(await self._records.sql(request.sql, request.limit)):
            await context.write(part)

    async def ListHistory(self, request: record_pb2.HistoryFilter, context: Any) -> None:
        async for line in self._upkeep.history(read(HistoryFilter, request)):
            await context.write(to_message(record_pb2.HistoryLine, line))

    async def AddRecords(self, request: log_pb2.AddRecordsRequest, context: Any) -> log_pb2.AddRecordsResponse:
        workloads = [read_numbers(Workload, workload) for workload in request.workloads]
        records = [read_numbers(Record, record) for record in request.records]
        await self._records.add(workloads, records, self._version)
        return log_pb2.AddRecordsResponse()

    async def RefuteRecords(self, request: log_pb2.RefuteRecordsRequest, context: Any) -> log_pb2.RefuteRecordsResponse:
        refuted = await self._records.refute(request.trial_id, request.detail)
        return log_pb2.RefuteRecordsResponse(records=refuted)

    async def ImportRecords(self, requests: AsyncIterator[log_pb2.ImportPart], context: Any) -> log_pb2.ImportReport:
        async def parts() -> AsyncIterator[ImportPart]:
            async for message in requests:
                yield read_numbers(ImportPart, message)

        return to_message(log_pb2.ImportReport, await self._upkeep.take(parts()))

    async def FindUnknownTrials(self, request: log_pb2.TrialIds, context: Any) -> log_pb2.TrialIds:
        return log_pb2.TrialIds(trial_ids=await self._upkeep.unknown_trials(list(request.trial_ids)))

    async def CompactRecords(self, request: log_pb2.CompactRequest, context: Any) -> None:
        # Whoever leaves ends it at once, so that the next one may begin.
        async with aclosing(self._upkeep.compact(request.keep, request.dry_run)) as steps:
            async for step in steps:
                await context.write(to_message(log_pb2.Compaction, step))
