"""A tracker made of values: its services over real gRPC, its jobs moved by the test.

For what a real tracker shows seldom or slowly: a job at a chosen moment, a tracker that goes away
in the middle of a watch, a package whose bytes are wrong. What it answers obeys the .proto files.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import (
    artifacts_pb2,
    artifacts_pb2_grpc,
    device_pb2,
    devices_pb2,
    devices_pb2_grpc,
    farm_pb2,
    farm_pb2_grpc,
    job_pb2,
    jobs_pb2,
    jobs_pb2_grpc,
    log_pb2,
    log_pb2_grpc,
    measurement_pb2,
    measuring_pb2,
    measuring_pb2_grpc,
    record_pb2,
)
from tvm_farm.tracker.domain import (
    Artifact,
    Device,
    Job,
    JobSpec,
    JobState,
    Measurement,
    MeasureRequest,
    Outcome,
    PackageFile,
    Pool,
    Record,
    RecordFilter,
)

__all__ = ["StandInFarm"]


class StandInFarm(
    artifacts_pb2_grpc.ArtifactsServicer,
    devices_pb2_grpc.DevicesServicer,
    farm_pb2_grpc.FarmServicer,
    jobs_pb2_grpc.JobsServicer,
    log_pb2_grpc.LogServicer,
    measuring_pb2_grpc.MeasuringServicer,
):
    """Holds what a test puts into its fields; ``put_job`` changes a job and wakes its watchers."""

    def __init__(self, port: int = 0) -> None:
        self.devices: list[Device] = []
        self.pools: list[Pool] = []
        self.records: list[Record] = []
        self.artifacts: dict[str, bytes] = {}
        self.filters: list[RecordFilter] = []
        self.submitted: list[tuple[str, JobSpec]] = []
        self.measured: list[tuple[Any, MeasureRequest]] = []
        self.measurement = Measurement("", Outcome.OK, run_secs=(0.003, 0.001, 0.002), device_name="board")
        self.capacity = measuring_pb2.Capacity(devices=1, slots=2)
        self.protocol_version = PROTOCOL_VERSION
        #: How far its clock is ahead of this machine's.
        self.ahead_s = 0.0
        #: Of its pools. With more than one a submission makes a group of jobs, one a class.
        self.classes: list[str] = ["board"]
        #: By the name of a call: how its next ones fail.
        self.failures: dict[str, list[tuple[grpc.StatusCode, str]]] = {}
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="stand-in")
        self._server = grpc.server(
            self._threads,
            options=[("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)],
        )
        artifacts_pb2_grpc.add_ArtifactsServicer_to_server(self, self._server)
        devices_pb2_grpc.add_DevicesServicer_to_server(self, self._server)
        farm_pb2_grpc.add_FarmServicer_to_server(self, self._server)
        jobs_pb2_grpc.add_JobsServicer_to_server(self, self._server)
        log_pb2_grpc.add_LogServicer_to_server(self, self._server)
        measuring_pb2_grpc.add_MeasuringServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> StandInFarm:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Gone at once, as after kill -9: every stream ends with UNAVAILABLE or CANCELLED."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._server.stop(grace=None).wait()
        self._threads.shutdown()

    def put_job(self, job: Job) -> None:
        with self._changed:
            self._jobs[job.id] = job
            self._changed.notify_all()

    def put_file(self, name: str, data: bytes) -> PackageFile:
        digest = hashlib.sha256(data).hexdigest()
        self.artifacts[digest] = data
        return PackageFile(name, Artifact(digest, len(data)))

    def await_job(self, timeout_s: float = 10.0) -> Job:
        """The first job that was submitted."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.submitted, timeout_s), "no job was submitted"
            return next(iter(self._jobs.values()))

    def _job(self, prefix: str, context: grpc.ServicerContext) -> Job:
        found = [job for job in self._jobs.values() if job.id.startswith(prefix)]
        if len(found) != 1:
            context.abort(grpc.StatusCode.NOT_FOUND, f"There is no job {prefix}.")
        return found[0]

    def _fail_as_asked(self, call: str, context: grpc.ServicerContext) -> None:
        if self.failures.get(call):
            context.abort(*self.failures[call].pop(0))

    # -- the service

    def GetStatus(self, request: Any, context: Any) -> Any:
        return farm_pb2.Status(
            farm="stand-in",
            version="0.1.0",
            protocol_version=self.protocol_version,
            devices_connected=len(self.devices),
            jobs_running=sum(job.state is JobState.RUNNING for job in self._jobs.values()),
            now_unix_s=time.time() + self.ahead_s,
        )

    def ListDevices(self, request: Any, context: Any) -> Any:
        if request.pool and request.pool not in [pool.name for pool in self.pools]:
            context.abort(grpc.StatusCode.NOT_FOUND, f"There is no pool {request.pool}.")
        wanted = [device for device in self.devices if not request.pool or request.pool in device.pools]
        return devices_pb2.ListDevicesResponse(devices=[to_message(device_pb2.Device, device) for device in wanted])

    def ListPools(self, request: Any, context: Any) -> Any:
        return devices_pb2.ListPoolsResponse(pools=[to_message(device_pb2.Pool, pool) for pool in self.pools])

    def PutPool(self, request: Any, context: Any) -> Any:
        self.pools.append(Pool(request.name, dict(request.selector)))
        return to_message(device_pb2.Pool, self.pools[-1])

    def DeletePool(self, request: Any, context: Any) -> Any:
        self.pools = [pool for pool in self.pools if pool.name != request.name]
        return devices_pb2.DeletePoolResponse()

    def SubmitJob(self, request: Any, context: Any) -> Any:
        self._fail_as_asked("SubmitJob", context)
        spec = from_message(JobSpec, request.spec)
        if spec.model.digest not in self.artifacts:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "The model was not sent.")
        with self._changed:
            for request_id, _ in self.submitted:
                if request_id == request.request_id:
                    return to_message(job_pb2.Job, next(iter(self._jobs.values())))
            self.submitted.append((request.request_id, spec))
            name = f"{len(self.submitted):04x}job"
            several = len(self.classes) > 1
            made = [
                Job(
                    id=f"{name}.{number}" if several else name,
                    spec=replace(spec, max_trials=spec.max_trials // len(self.classes)),
                    created_unix_s=1.0,
                    device_class=device_class,
                    devices=1,
                    group=name if several else "",
                )
                for number, device_class in enumerate(self.classes, 1)
            ]
            self._jobs.update((job.id, job) for job in made)
            self._changed.notify_all()
        return to_message(job_pb2.Job, made[0])

    def GetJob(self, request: Any, context: Any) -> Any:
        return to_message(job_pb2.Job, self._job(request.id, context))

    def _group(self, name: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.group and job.group == name]

    def ListJobs(self, request: Any, context: Any) -> Any:
        if request.group:
            return jobs_pb2.ListJobsResponse(jobs=[to_message(job_pb2.Job, j) for j in self._group(request.group)])
        jobs = [to_message(job_pb2.Job, replace(job, tasks=())) for job in reversed(self._jobs.values())]
        chosen = [job for job in jobs if not request.state or job.state == request.state]
        return jobs_pb2.ListJobsResponse(jobs=chosen[: request.limit or None])

    def CancelJob(self, request: Any, context: Any) -> Any:
        jobs = self._group(request.id) or [self._job(request.id, context)]
        for job in jobs:
            self.put_job(replace(job, state=JobState.CANCELLED))
        return to_message(job_pb2.Job, self._jobs[jobs[0].id])

    def WatchJob(self, request: Any, context: Any) -> Iterator[Any]:
        ids = [job.id for job in self._group(request.id) or [self._job(request.id, context)]]
        shown: dict[str, Job] = {}
        while not self._closing and context.is_active():
            for job in [self._jobs[job_id] for job_id in ids]:
                if job != shown.get(job.id):
                    shown[job.id] = job
                    yield to_message(job_pb2.Job, job)
            if all(job.state.final for job in shown.values()):
                return
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or any(self._jobs[job_id] != shown[job_id] for job_id in ids), 0.2
                )

    def QueryRecords(self, request: Any, context: Any) -> Iterator[Any]:
        self.filters.append(from_message(RecordFilter, request))
        ours = [name for device in self.devices for name in (device.id, device.name)]
        for record in self.records:
            if not request.device or request.device in (*ours, record.measurement.device_name):
                yield to_message(record_pb2.Record, record)

    def BestRecords(self, request: Any, context: Any) -> Any:
        return log_pb2.BestRecordsResponse(records=[to_message(record_pb2.Record, r) for r in self.records])

    def PutArtifact(self, request_iterator: Any, context: Any) -> Any:
        self._fail_as_asked("PutArtifact", context)
        data = b"".join(part.data for part in request_iterator)
        return to_message(measurement_pb2.Artifact, self.put_file("", data).content)

    def GetArtifact(self, request: Any, context: Any) -> Iterator[Any]:
        data = self.artifacts.get(request.digest)
        if data is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"There is no artifact {request.digest}.")
        for start in range(0, len(data or b""), 1 << 20):
            yield artifacts_pb2.ArtifactDownload(data=(data or b"")[start : start + (1 << 20)])

    def Measure(self, request_iterator: Any, context: Any) -> Iterator[Any]:
        opening = next(request_iterator).open
        yield measuring_pb2.MeasureReply(capacity=self.capacity)
        for call in request_iterator:
            reply = measuring_pb2.MeasureReply()
            for trial in call.trials:
                request = from_message(MeasureRequest, trial.request)
                self.measured.append((opening, request))
                answer = replace(self.measurement, trial_id=request.trial_id)
                reply.measurements.append(to_message(measurement_pb2.Measurement, answer))
            yield reply
