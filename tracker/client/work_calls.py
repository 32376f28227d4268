"""A tuning worker's stream to the tracker: what the worker says, and the orders that it gets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import grpc

from tvm_farm.protos.convert import fill, from_message, to_message
from tvm_farm.protos.farm.v1 import control_pb2
from tvm_farm.protos.farm.v1.control_pb2_grpc import ControlStub
from tvm_farm.tracker.domain import (
    CancelJob,
    FinishedSeen,
    Job,
    JobFinished,
    JobProgress,
    JobResult,
    StartJob,
    WorkerAlive,
    WorkerHello,
    WorkOrder,
)

__all__ = ["Order", "Refused", "Said", "work"]

Said = WorkerHello | WorkerAlive | JobProgress | JobFinished


@dataclass(frozen=True)
class Refused:
    """The tracker will not serve this worker: ``reason`` in one sentence. No order follows."""

    reason: str


Order = WorkOrder | Refused


def work(channel: grpc.Channel, said: Iterable[Said]) -> Iterator[Order]:
    """The tracker's orders, while ``said`` goes to it; a WorkerHello is the first. An order of a kind that this
    version does not know is passed over.

    ``said`` is walked through by a thread of gRPC's. Raises grpc.RpcError where the stream breaks.
    """
    for message in ControlStub(channel).Work(map(_message, said)):
        order = _order(message)
        if order is not None:
            yield order


def _message(said: Said) -> control_pb2.WorkerMessage:
    match said:
        case WorkerHello():
            return control_pb2.WorkerMessage(hello=to_message(control_pb2.WorkerHello, said))
        case WorkerAlive():
            return control_pb2.WorkerMessage(alive=to_message(control_pb2.WorkerAlive, said))
        case JobProgress():
            return control_pb2.WorkerMessage(progress=to_message(control_pb2.JobProgress, said))
        case JobFinished(job_id, outcome):
            finished = control_pb2.JobFinished(job_id=job_id)
            part = finished.result if isinstance(outcome, JobResult) else finished.failure
            part.SetInParent()
            fill(part, outcome)
            return control_pb2.WorkerMessage(finished=finished)


def _order(message: control_pb2.WorkOrder) -> Order | None:
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
