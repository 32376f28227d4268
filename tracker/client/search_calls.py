"""Calls about a job's search: what the log has of its candidates, what was searched before, and more to spend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import control_pb2
from tvm_farm.tracker.client.streams import Streams, stream
from tvm_farm.tracker.domain import Job, Measurement, PastSearch, RecallRequest, Record

__all__ = ["SearchCalls"]

_TIMEOUT_S = 60.0


class SearchCalls(Streams):
    """The part of FarmClient about searches."""

    _stub: Any

    def _errors(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def recall(self, request: RecallRequest) -> list[Measurement]:
        """Those of the candidates that the log has; they are recorded as trials of the one who asks."""
        message = to_message(control_pb2.RecallRequest, request)
        with self._errors():
            answer = self._stub.Recall(message, timeout=_TIMEOUT_S)
        return [from_message(Measurement, measurement) for measurement in answer.measurements]

    @stream
    def searches(self, job_id: str) -> Iterator[PastSearch]:
        """The steps of this job's search in their order, or of an earlier one that asked for the same."""
        with self._errors():
            call = self._stub.GetSearches(control_pb2.GetJobRequest(id=job_id))
            try:
                for message in call:
                    yield from_message(PastSearch, message)
            finally:
                call.cancel()

    def near_records(self, workload: str, *, device_class: str, target: str, per_workload: int) -> list[Record]:
        """The fastest of each of the few workloads of its kind whose shapes are nearest, on this class and target."""
        request = control_pb2.BestRecordsRequest(
            near=workload, device_class=device_class, target=target, per_workload=per_workload
        )
        with self._errors():
            answer = self._stub.BestRecords(request, timeout=_TIMEOUT_S)
        return [from_message(Record, record) for record in answer.records]

    def resume_job(self, job_id: str, trials: int = 0, budget_s: float = 0.0) -> Job:
        """Let an ended job go on: with so much more, or both 0 with what is left of its limits."""
        request = control_pb2.ResumeJobRequest(id=job_id, trials=trials, budget_s=budget_s)
        with self._errors():
            return from_message(Job, self._stub.ResumeJob(request, timeout=_TIMEOUT_S))
