"""A tuning worker for the tracker's tests: real gRPC, no TVM."""

from __future__ import annotations

import queue
import threading
from typing import Any

import grpc

from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import job_pb2, jobs_pb2, measurement_pb2, record_pb2, work_pb2, work_pb2_grpc

__all__ = ["StandInWorker", "spec", "submit", "task_plans"]


def task_plans(job_id: str, count: int = 2) -> list[work_pb2.TaskPlan]:
    return [
        work_pb2.TaskPlan(
            id=f"{job_id}/{n}",
            name=f"task{n}",
            weight=n + 1,
            workload=record_pb2.Workload(key=f"w{n}", name=f"task{n}", module="{}", flops=1e6),
        )
        for n in range(count)
    ]


def spec(tracker: TrackerProcess, **changes: Any) -> job_pb2.JobSpec:
    model = changes.pop("model", None) or tracker.upload(b"a model")
    values = {"kind": job_pb2.JOB_KIND_TUNE, "model_name": "Net", "pool": "x86_64", "engine": "ansor"}
    return job_pb2.JobSpec(model=model, **{**values, "max_trials": 8, **changes})


def submit(tracker: TrackerProcess, request_id: str = "", **changes: Any) -> job_pb2.Job:
    request = jobs_pb2.SubmitJobRequest(spec=spec(tracker, **changes), request_id=request_id)
    return tracker.calls.jobs.SubmitJob(request)


class StandInWorker:
    """Says hello at once and keeps what it is told."""

    def __init__(self, address: str, worker_id: str = "w1", running_job: str = "", **hello: Any) -> None:
        self.outbox: queue.Queue[work_pb2.WorkerMessage | None] = queue.Queue()
        self.started: dict[str, job_pb2.Job] = {}
        self.starts: list[str] = []
        self.cancelled: list[str] = []
        self.finished_seen: list[str] = []
        self.refused = ""
        self._channel = grpc.insecure_channel(address)
        values = {"host": "h", "pid": 1, "protocol_version": PROTOCOL_VERSION, **hello}
        self.say(hello=work_pb2.WorkerHello(worker_id=worker_id, running_job=running_job, **values))
        self._stream = work_pb2_grpc.WorkStub(self._channel).Work(iter(self.outbox.get, None))
        self._thread = threading.Thread(target=self._read, name=f"worker-{worker_id}", daemon=True)
        self._thread.start()

    def say(self, **message: Any) -> None:
        self.outbox.put(work_pb2.WorkerMessage(**message))

    def progress(self, job_id: str, phase: str = "tuning", tuned_for_s: float = 0.0, tasks: Any = ()) -> None:
        self.say(progress=work_pb2.JobProgress(job_id=job_id, phase=phase, tuned_for_s=tuned_for_s, tasks=list(tasks)))

    def finish(self, job_id: str, *files: measurement_pb2.Artifact) -> None:
        packaged = [job_pb2.PackageFile(name=f"file{n}", content=file) for n, file in enumerate(files)]
        self.say(finished=work_pb2.JobFinished(job_id=job_id, result=job_pb2.JobResult(files=packaged, tuned_s=0.5)))

    def fail(self, job_id: str, error: str, input_error: bool = False) -> None:
        failure = work_pb2.JobFailure(error=error, input_error=input_error, detail="Traceback: here")
        self.say(finished=work_pb2.JobFinished(job_id=job_id, failure=failure))

    def wait_for_start(self, job_id: str, times: int = 1) -> job_pb2.Job:
        wait_until(lambda: self.starts.count(job_id) >= times, f"start of {job_id}")
        return self.started[job_id]

    def _read(self) -> None:
        try:
            for order in self._stream:
                kind = order.WhichOneof("message")
                if kind == "start":
                    self.started[order.start.id] = order.start
                    self.starts.append(order.start.id)
                elif kind == "cancel":
                    self.cancelled.append(order.cancel)
                elif kind == "finished_seen":
                    self.finished_seen.append(order.finished_seen)
                else:
                    self.refused = order.refused
        except grpc.RpcError:
            pass  # the tracker or the test ended the stream; what was expected of it is asserted elsewhere

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def cut(self) -> None:
        self._stream.cancel()
        self.outbox.put(None)
        self._thread.join(10)
        self._channel.close()
