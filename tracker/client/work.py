"""A tuning worker's words with its tracker: what it says, the orders that it gets, and what its searches ask."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from tvm_farm.protos.convert import fill, from_message, to_message
from tvm_farm.protos.farm.v1 import work_pb2, work_pb2_grpc
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.domain import (
    CancelJob,
    FinishedSeen,
    Job,
    JobFinished,
    JobProgress,
    JobResult,
    Measurement,
    PastSearch,
    RecallRequest,
    StartJob,
    WorkerAlive,
    WorkerHello,
    WorkOrder,
)

__all__ = ["Order", "Refused", "Said", "Work"]

Said = WorkerHello | WorkerAlive | JobProgress | JobFinished
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Refused:
    """The tracker will not serve this worker: ``reason`` in one sentence. No order follows."""

    reason: str


Order = WorkOrder | Refused


class Work:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._stub = work_pb2_grpc.WorkStub(link.channel)

    def orders(self, said: Iterable[Said]) -> Iterator[Order]:
        """The tracker's orders, while ``said`` goes to it; a WorkerHello is the first. An order of a kind that this
        version does not know is passed over.

        ``said`` is walked through by a thread of gRPC's. Raises ConnectionLost where the stream breaks.
        """
        return self._link.held(self._orders(said))

    def _orders(self, said: Iterable[Said]) -> Generator[Order, None, None]:
        with self._link.errors():
            for message in self._stub.Work(map(_message, said)):
                order = _order(message)
                if order is not None:
                    yield order

    def recall(self, request: RecallRequest) -> list[Measurement]:
        """Those of the candidates that the log has; they are recorded as trials of the one who asks."""
        answer = self._link.call(self._stub.Recall, to_message(work_pb2.RecallRequest, request), _TIMEOUT_S)
        return [from_message(Measurement, measurement) for measurement in answer.measurements]

    def searches(self, job_id: str) -> Iterator[PastSearch]:
        """The steps of this job's search in their order, or of an earlier one that asked for the same."""
        request = work_pb2.GetSearchesRequest(job_id=job_id)
        return self._link.stream(self._stub.GetSearches, request, partial(from_message, PastSearch))


def _message(said: Said) -> work_pb2.WorkerMessage:
    match said:
        case WorkerHello():
            return work_pb2.WorkerMessage(hello=to_message(work_pb2.WorkerHello, said))
        case WorkerAlive():
            return work_pb2.WorkerMessage(alive=to_message(work_pb2.WorkerAlive, said))
        case JobProgress():
            return work_pb2.WorkerMessage(progress=to_message(work_pb2.JobProgress, said))
        case JobFinished(job_id, outcome):
            finished = work_pb2.JobFinished(job_id=job_id)
            part = finished.result if isinstance(outcome, JobResult) else finished.failure
            part.SetInParent()
            fill(part, outcome)
            return work_pb2.WorkerMessage(finished=finished)


def _order(message: work_pb2.WorkOrder) -> Order | None:
    match message.WhichOneof("message"):
        case "start":
            return StartJob(from_message(Job, message.start))
        case "cancel":
            return CancelJob(message.cancel)
        case "finished_seen":
            return FinishedSeen(message.finished_seen)
        case "refused":
            return Refused(message.refused)
    return None
