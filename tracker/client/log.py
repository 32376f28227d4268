"""A Farm's tuning log: what was measured, here and elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import log_pb2, log_pb2_grpc, record_pb2
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.domain import Record, RecordFilter, SqlAnswer, Workload
from tvm_farm.tracker.domain.imports import Compaction, HistoryFilter, HistoryLine, ImportPart, ImportReport

__all__ = ["Log"]

_TIMEOUT_S = 60.0
#: Over what the tracker gives a question, and one that waits before it.
_SQL_TIMEOUT_S = 100.0


class Log:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._stub = log_pb2_grpc.LogStub(link.channel)

    # -- records

    def records(self, wanted: RecordFilter) -> Iterator[Record]:
        message = to_message(record_pb2.RecordFilter, wanted)
        return self._link.stream(self._stub.QueryRecords, message, partial(from_message, Record))

    def record(self, trial_id: str) -> Record:
        """``trial_id`` may be an unambiguous start of it."""
        return from_message(Record, self._link.call(self._stub.GetRecord, log_pb2.GetRecordRequest(trial_id=trial_id)))

    def best(
        self,
        workloads: Iterable[str] = (),
        *,
        pool: str = "",
        device_class: str = "",
        target: str = "",
        per_workload: int = 1,
        apart_from: str = "",
    ) -> list[Record]:
        """The ``per_workload`` fastest of each workload, fastest first. No ``workloads`` means all.

        ``apart_from`` a device class: of each other class its own fastest.
        """
        request = log_pb2.BestRecordsRequest(
            workloads=workloads,
            pool=pool,
            device_class=device_class,
            target=target,
            per_workload=per_workload,
            apart_from=apart_from,
        )
        return self._best(request)

    def nearest(self, workload: str, *, device_class: str, target: str, per_workload: int) -> list[Record]:
        """The fastest of each of the few workloads of its kind whose shapes are nearest, on this class and target."""
        request = log_pb2.BestRecordsRequest(
            near=workload, device_class=device_class, target=target, per_workload=per_workload
        )
        return self._best(request)

    def _best(self, request: log_pb2.BestRecordsRequest) -> list[Record]:
        answer = self._link.call(self._stub.BestRecords, request, _TIMEOUT_S)
        return [from_message(Record, record) for record in answer.records]

    def ask(self, sql: str, limit: int = 0) -> SqlAnswer:
        """What one SELECT says, at most ``limit`` rows; 0 is as many as the tracker gives. BadInput for no SELECT."""
        columns: list[str] = []
        rows: list[tuple[Any, ...]] = []
        cut = False
        with self._link.errors():
            for part in self._stub.QuerySql(record_pb2.SqlQuery(sql=sql, limit=limit), timeout=_SQL_TIMEOUT_S):
                columns += part.columns
                rows += [tuple([_value(value) for value in row.values]) for row in part.rows]
                cut = part.cut
        return SqlAnswer(tuple(columns), tuple(rows), cut)

    def add(self, records: Sequence[Record], workloads: Sequence[Workload] = ()) -> None:
        """Keep measurements that the farm made outside a job; once a trial, however often they are sent.

        ``workloads``: those of the records that the farm may not know. BadInput names what is no candidate's record.
        """
        request = log_pb2.AddRecordsRequest(
            workloads=[to_message(record_pb2.Workload, workload) for workload in workloads],
            records=[to_message(record_pb2.Record, record) for record in records],
        )
        self._link.call(self._stub.AddRecords, request)

    def refute(self, trial_id: str, detail: str) -> int:
        """The kernel of this trial answers wrongly: no record of it counts as a timing any more. How many they were."""
        request = log_pb2.RefuteRecordsRequest(trial_id=trial_id, detail=detail)
        return int(self._link.call(self._stub.RefuteRecords, request).records)

    # -- workloads

    def workload(self, key: str) -> Workload:
        """With its module. Raises BadInput where there is none of that key."""
        return from_message(Workload, self._link.call(self._stub.GetWorkload, log_pb2.GetWorkloadRequest(key=key)))

    def find_workload(self, key: str) -> Workload | None:
        """The workload with its module; None where the farm has never met it."""
        try:
            return self.workload(key)
        except BadInput:
            return None

    # -- others' logs

    def import_parts(
        self, source: str, user: str, parts: Iterable[ImportPart], kept: Callable[[ImportReport], None]
    ) -> ImportReport:
        """Send ``parts``, the next one while one is stored; ``kept`` is told of each that is. What was new of all.

        What was kept before an error stays, and is known when it is sent again.
        """
        total = ImportReport()
        under_way: Any = None

        def finish() -> ImportReport:
            with self._link.errors():
                report = from_message(ImportReport, under_way.result())
            kept(report)
            return total.plus(report)

        try:
            for part in parts:
                if under_way is not None:
                    total = finish()
                opening = log_pb2.ImportPart(source=source, user=user, imported_unix_s=total.imported_unix_s)
                message = to_message(log_pb2.ImportPart, part)
                under_way = self._stub.ImportRecords.future(iter([opening, message]), timeout=_TIMEOUT_S)
            return finish() if under_way is not None else total
        finally:
            if under_way is not None:
                under_way.cancel()

    def unknown_trials(self, trial_ids: Iterable[str]) -> list[str]:
        """Those that the farm has no record of, in their order."""
        request = log_pb2.TrialIds(trial_ids=trial_ids)
        return list(self._link.call(self._stub.FindUnknownTrials, request, _TIMEOUT_S).trial_ids)

    def history(self, wanted: HistoryFilter) -> Iterator[HistoryLine]:
        """The ones that were imported last come first."""
        message = to_message(record_pb2.HistoryFilter, wanted)
        return self._link.stream(self._stub.ListHistory, message, partial(from_message, HistoryLine))

    def compact(self, keep: int, dry_run: bool) -> Iterator[Compaction]:
        """How far it is; leaving the iterator ends it there."""
        request = log_pb2.CompactRequest(keep=keep, dry_run=dry_run)
        return self._link.stream(self._stub.CompactRecords, request, partial(from_message, Compaction))


def _value(message: Any) -> Any:
    kind = message.WhichOneof("value")
    return getattr(message, kind) if kind else None
