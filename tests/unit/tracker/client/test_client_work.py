"""What a tuning worker says and is told, as it stands on the wire."""

from __future__ import annotations

import pytest

from tvm_farm.protos.farm.v1 import job_pb2, work_pb2
from tvm_farm.tracker.client.work import Refused, _message, _order
from tvm_farm.tracker.domain import (
    CancelJob,
    FinishedSeen,
    JobFailure,
    JobFinished,
    JobProgress,
    JobResult,
    StartJob,
    TaskPlan,
    WorkerAlive,
    WorkerHello,
    Workload,
)

PLAN = TaskPlan("j/0", "conv", 3, Workload("key", "conv", "module"))

SAID = {
    "hello": WorkerHello("w1", "host", 7, {"tvm": "0.27"}, "j", 4),
    "alive": WorkerAlive(warm=True),
    "progress": JobProgress("j", "tuning", 1.5, (PLAN,)),
    "finished": JobFinished("j", JobResult(tuned_s=0.25)),
}


@pytest.mark.parametrize("kind", SAID)
def test_each_word_has_its_field(kind: str) -> None:
    message = work_pb2.WorkerMessage.FromString(_message(SAID[kind]).SerializeToString())
    assert message.WhichOneof("message") == kind


def test_a_word_arrives_whole() -> None:
    hello = _message(SAID["hello"]).hello
    assert (hello.worker_id, hello.host, hello.pid, dict(hello.versions)) == ("w1", "host", 7, {"tvm": "0.27"})
    assert (hello.running_job, hello.protocol_version) == ("j", 4)
    assert _message(SAID["alive"]).alive.warm
    progress = _message(SAID["progress"]).progress
    assert (progress.job_id, progress.phase, progress.tuned_for_s) == ("j", "tuning", 1.5)
    assert [(task.id, task.name, task.weight, task.workload.key) for task in progress.tasks] == [
        ("j/0", "conv", 3, "key")
    ]
    assert _message(SAID["finished"]).finished.result.tuned_s == 0.25


def test_an_end_without_news_is_still_a_result_and_a_failure_is_none() -> None:
    empty = work_pb2.WorkerMessage.FromString(_message(JobFinished("j", JobResult())).SerializeToString())
    assert (empty.finished.job_id, empty.finished.WhichOneof("outcome")) == ("j", "result")
    failed = _message(JobFinished("j", JobFailure("no such operator", True, "where"))).finished
    assert failed.WhichOneof("outcome") == "failure"
    failure = failed.failure
    assert (failure.error, failure.input_error, failure.detail) == ("no such operator", True, "where")


@pytest.mark.parametrize(
    ("message", "order"),
    [
        (work_pb2.WorkOrder(cancel="j"), CancelJob("j")),
        (work_pb2.WorkOrder(finished_seen="j"), FinishedSeen("j")),
        (work_pb2.WorkOrder(refused="too old"), Refused("too old")),
        (work_pb2.WorkOrder(), None),  # of a tracker that knows more orders
    ],
)
def test_orders_are_read(message: work_pb2.WorkOrder, order: object) -> None:
    assert _order(message) == order


def test_a_job_comes_with_its_id() -> None:
    spec = job_pb2.JobSpec(kind=job_pb2.JOB_KIND_TUNE)
    order = _order(work_pb2.WorkOrder(start=job_pb2.Job(id="j", state=job_pb2.JOB_STATE_RUNNING, spec=spec)))
    assert isinstance(order, StartJob)
    assert order.job.id == "j"
