"""Calls of a script that tunes by itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import grpc

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import control_pb2, record_pb2
from tvm_farm.tracker.domain import Record, Workload

__all__ = ["ScriptCalls"]

_TIMEOUT_S = 30.0


class ScriptCalls:
    """The part of FarmClient about workloads and records that a script brings."""

    _stub: Any

    def _errors(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def find_workload(self, key: str) -> Workload | None:
        """The workload with its module; None where the farm has never met it."""
        with self._errors():
            try:
                found = self._stub.GetWorkload(control_pb2.GetWorkloadRequest(key=key), timeout=_TIMEOUT_S)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return None
                raise
        return from_message(Workload, found)

    def add_records(self, records: Sequence[Record], workloads: Sequence[Workload] = ()) -> None:
        """Keep measurements that the farm made outside a job; once a trial, however often they are sent.

        ``workloads``: those of the records that the farm may not know. BadInput names what is no candidate's record.
        """
        request = control_pb2.AddRecordsRequest(
            workloads=[to_message(record_pb2.Workload, workload) for workload in workloads],
            records=[to_message(record_pb2.Record, record) for record in records],
        )
        with self._errors():
            self._stub.AddRecords(request, timeout=_TIMEOUT_S)
