"""The client's questions to the tuning log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import control_pb2, record_pb2
from tvm_farm.tracker.client.streams import Streams, stream
from tvm_farm.tracker.domain import Record, RecordFilter, SqlAnswer, Workload

__all__ = ["LogCalls"]

_TIMEOUT_S = 30.0
#: Over what the tracker gives a question, and one that waits before it.
_SQL_TIMEOUT_S = 100.0


class LogCalls(Streams):
    """The part of FarmClient about single records and SQL."""

    _stub: Any

    def _errors(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    @stream
    def records(self, wanted: RecordFilter) -> Iterator[Record]:
        with self._errors():
            call = self._stub.QueryRecords(to_message(record_pb2.RecordFilter, wanted))
            try:
                for message in call:
                    yield from_message(Record, message)
            finally:
                call.cancel()

    def record(self, trial_id: str) -> Record:
        """``trial_id`` may be an unambiguous start of it."""
        with self._errors():
            request = control_pb2.GetRecordRequest(trial_id=trial_id)
            return from_message(Record, self._stub.GetRecord(request, timeout=_TIMEOUT_S))

    def workload(self, key: str) -> Workload:
        """With its module. Raises BadInput where there is none of that key."""
        with self._errors():
            request = control_pb2.GetWorkloadRequest(key=key)
            return from_message(Workload, self._stub.GetWorkload(request, timeout=_TIMEOUT_S))

    def ask(self, sql: str, limit: int = 0) -> SqlAnswer:
        """What one SELECT says, at most ``limit`` rows; 0 is as many as the tracker gives. BadInput for no SELECT."""
        columns: list[str] = []
        rows: list[tuple[Any, ...]] = []
        cut = False
        with self._errors():
            for part in self._stub.QuerySql(record_pb2.SqlQuery(sql=sql, limit=limit), timeout=_SQL_TIMEOUT_S):
                columns += part.columns
                rows += [tuple([_value(value) for value in row.values]) for row in part.rows]
                cut = part.cut
        return SqlAnswer(tuple(columns), tuple(rows), cut)


def _value(message: Any) -> Any:
    kind = message.WhichOneof("value")
    return getattr(message, kind) if kind else None
