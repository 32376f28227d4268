"""Calls to the tracker: values in and out, errors as sentences.

Calls block; a failed one raises an error of tracker/client/errors.py.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from tvm_farm.protos.channel import MESSAGE_OPTIONS, ping_options
from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import control_pb2, job_pb2, measurement_pb2, runtime_pb2
from tvm_farm.protos.farm.v1.control_pb2_grpc import ControlStub
from tvm_farm.tracker.client.desk_calls import DeskCalls
from tvm_farm.tracker.client.errors import BadInput, FarmError, TrackerFull, TrackerUnreachable
from tvm_farm.tracker.client.exchange_calls import ExchangeCalls
from tvm_farm.tracker.client.log_calls import LogCalls
from tvm_farm.tracker.client.measure_calls import MeasureCalls
from tvm_farm.tracker.client.script_calls import ScriptCalls
from tvm_farm.tracker.client.search_calls import SearchCalls
from tvm_farm.tracker.client.streams import stream
from tvm_farm.tracker.domain import (
    Artifact,
    Capacity,
    Device,
    Job,
    JobGroup,
    JobSpec,
    JobState,
    JobTimeline,
    Measurement,
    MeasureRequest,
    OpenMeasure,
    Pool,
    Record,
    Runtime,
)

__all__ = ["ConnectionLost", "FarmClient", "FarmStatus", "open_channel"]

CHUNK_BYTES = 1 << 20
CONNECT_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 30.0
LONG_CALL_TIMEOUT_S = 300.0

_BAD_INPUT = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
}
# What a stream ends with when the tracker restarts or the network breaks, as far as gRPC tells them apart.
_LOST = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


class ConnectionLost(TrackerUnreachable):
    """The tracker answered before and does not now: what was asked may be asked again."""


@dataclass(frozen=True)
class FarmStatus:
    """The farm in numbers: mirror of control.proto's Status."""

    farm: str = ""
    version: str = ""
    protocol_version: int = 0
    devices_connected: int = 0
    workers_connected: int = 0
    jobs_running: int = 0
    jobs_queued: int = 0
    workers_warm: int = 0
    now_unix_s: float = 0.0


def open_channel(address: str) -> grpc.Channel:
    """A channel to ``host:port`` that notices a dead tracker and finds a restarted one within seconds."""
    backoff = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 2_000)]
    # A farm is a local network: a proxy from the environment cannot reach it.
    direct = [("grpc.enable_http_proxy", 0)]
    return grpc.insecure_channel(address, options=[*MESSAGE_OPTIONS, *ping_options(20.0), *backoff, *direct])


class FarmClient(DeskCalls, LogCalls, ScriptCalls, ExchangeCalls, SearchCalls):
    """A connection to one tracker. ``address`` is ``host:port``; nothing is sent before the first call."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self._channel = open_channel(address)
        self._stub = ControlStub(self._channel)
        self._ahead_s = 0.0
        #: The tracker's own, once ``status`` was asked.
        self.release_of_tracker = ""

    def __enter__(self) -> FarmClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what streams are still open, then the connection."""
        self.end_streams()
        self._channel.close()

    # -- the farm

    def status(self) -> FarmStatus:
        """Raises TrackerUnreachable, or FarmError when tracker and command cannot understand each other."""
        with self._errors():
            message = self._stub.GetStatus(control_pb2.GetStatusRequest(), timeout=CONNECT_TIMEOUT_S)
        status = from_message(FarmStatus, message)
        if status.protocol_version != PROTOCOL_VERSION:
            older = "this command" if status.protocol_version > PROTOCOL_VERSION else "the tracker"
            raise FarmError(
                f"The tracker at {self.address} (version {status.version}) speaks protocol {status.protocol_version}, "
                f"this command speaks {PROTOCOL_VERSION}. Update {older}."
            )
        self.release_of_tracker = status.version
        if status.now_unix_s:  # 0: of a tracker that is older than that
            self._ahead_s = status.now_unix_s - time.time()
        return status

    def now_s(self) -> float:
        """Unix seconds now by the tracker's clock, as all its times are: the one here may be another."""
        return time.time() + self._ahead_s

    def devices(self, pool: str = "") -> list[Device]:
        """All devices, or those of ``pool``; BadInput when there is no such pool."""
        with self._errors():
            answer = self._stub.ListDevices(control_pb2.ListDevicesRequest(pool=pool), timeout=CALL_TIMEOUT_S)
        return [from_message(Device, device) for device in answer.devices]

    def pools(self) -> list[Pool]:
        with self._errors():
            answer = self._stub.ListPools(control_pb2.ListPoolsRequest(), timeout=CALL_TIMEOUT_S)
        return [from_message(Pool, pool) for pool in answer.pools]

    def put_pool(self, name: str, selector: dict[str, str]) -> Pool:
        with self._errors():
            request = control_pb2.PutPoolRequest(name=name, selector=selector)
            return from_message(Pool, self._stub.PutPool(request, timeout=CALL_TIMEOUT_S))

    def delete_pool(self, name: str) -> None:
        with self._errors():
            self._stub.DeletePool(control_pb2.DeletePoolRequest(name=name), timeout=CALL_TIMEOUT_S)

    # -- jobs

    def submit(self, spec: JobSpec, request_id: str) -> Job:
        """The new job; the first one's when ``request_id`` was seen before, so a retry makes no second."""
        request = control_pb2.SubmitJobRequest(spec=to_message(job_pb2.JobSpec, spec), request_id=request_id)
        with self._errors():
            return from_message(Job, self._stub.SubmitJob(request, timeout=CALL_TIMEOUT_S))

    def job(self, job_id: str) -> Job:
        """``job_id`` may be an unambiguous start of it."""
        with self._errors():
            return from_message(Job, self._stub.GetJob(control_pb2.GetJobRequest(id=job_id), timeout=CALL_TIMEOUT_S))

    def job_timeline(self, job_id: str) -> JobTimeline:
        """Where the job's time went, so far. ``job_id`` as for ``job``."""
        request = control_pb2.GetJobRequest(id=job_id)
        with self._errors():
            return from_message(JobTimeline, self._stub.GetJobTimeline(request, timeout=LONG_CALL_TIMEOUT_S))

    def jobs(self, state: JobState | None = None, limit: int = 0) -> list[Job]:
        """Newest first, without their tasks. ``limit`` 0 means all."""
        wanted = f"JOB_STATE_{state.name if state else 'UNSPECIFIED'}"
        request = control_pb2.ListJobsRequest(state=wanted, limit=limit)
        with self._errors():
            answer = self._stub.ListJobs(request, timeout=CALL_TIMEOUT_S)
        return [from_message(Job, job) for job in answer.jobs]

    def job_group(self, job_id: str) -> JobGroup:
        """All jobs of the group that ``job_id`` names, with their tasks, or the one job. As for ``job`` it may be a
        start.
        """
        return JobGroup(self._group(job_id) or (self.job(job_id),))

    def group_of(self, job: Job) -> JobGroup:
        """All jobs of the request that ``job`` belongs to."""
        return self.job_group(job.group) if job.group else JobGroup((job,))

    def _group(self, start: str) -> tuple[Job, ...]:
        """The jobs of a group in their order; none where ``start`` is not the start of one's id."""
        if not start:
            return ()  # the wire's word for all groups' jobs
        with self._errors():
            answer = self._stub.ListJobs(control_pb2.ListJobsRequest(group=start), timeout=CALL_TIMEOUT_S)
        # A tracker that knows no groups yet lists them all.
        return tuple(from_message(Job, job) for job in answer.jobs if job.group)

    def cancel(self, job_id: str) -> JobGroup:
        """Cancel a job, or those of a group that have not ended; they are returned as they are then."""
        several = bool(self._group(job_id))
        with self._errors():
            request = control_pb2.CancelJobRequest(id=job_id)
            job = from_message(Job, self._stub.CancelJob(request, timeout=CALL_TIMEOUT_S))
        return self.group_of(job) if several else JobGroup((job,))

    @stream
    def watch(self, job_id: str) -> Iterator[Job]:
        """A snapshot whenever the job, or one of the group, changed, to the end. Raises ConnectionLost on the way."""
        with self._errors():
            call = self._stub.WatchJob(control_pb2.GetJobRequest(id=job_id))
            try:
                for message in call:
                    yield from_message(Job, message)
            finally:
                call.cancel()

    # -- the tuning log

    def best_records(
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
        request = control_pb2.BestRecordsRequest(
            workloads=list(workloads),
            pool=pool,
            device_class=device_class,
            target=target,
            per_workload=per_workload,
            apart_from=apart_from,
        )
        with self._errors():
            answer = self._stub.BestRecords(request, timeout=CALL_TIMEOUT_S)
        return [from_message(Record, record) for record in answer.records]

    def refute(self, trial_id: str, detail: str) -> int:
        """The kernel of this trial answers wrongly: no record of it counts as a timing any more. How many they were."""
        request = control_pb2.RefuteRecordsRequest(trial_id=trial_id, detail=detail)
        with self._errors():
            return int(self._stub.RefuteRecords(request, timeout=CALL_TIMEOUT_S).records)

    # -- artifacts

    def put_artifact(self, path: Path) -> Artifact:
        """Send a file. Raises OSError where it cannot be read, FarmError when other bytes arrived."""
        digest, size = file_digest(path)

        def chunks() -> Iterator[Any]:
            with path.open("rb") as file:
                while data := file.read(CHUNK_BYTES):
                    yield control_pb2.ArtifactUpload(data=data)

        with self._errors():
            stored = from_message(Artifact, self._stub.PutArtifact(chunks()))
        if stored.digest != digest:
            raise FarmError(f"{path} changed while it was sent to the tracker, or was damaged on the way. Try again.")
        return Artifact(digest=digest, size=size)

    def get_artifact(self, content: Artifact, path: Path) -> None:
        """Write what ``content`` names to ``path``. Raises OSError, or FarmError when the bytes are not those."""
        digest = hashlib.sha256()
        with path.open("wb") as file, self._errors():
            for data in [content.inline] if content.inline else self._download(content.digest):
                digest.update(data)
                file.write(data)
        if digest.hexdigest() != content.digest:
            raise FarmError(f"{path.name} arrived damaged (sha256 is not {content.digest[:12]}…). Fetch it again.")

    @stream
    def _download(self, digest: str) -> Iterator[bytes]:
        call = self._stub.GetArtifact(control_pb2.GetArtifactRequest(digest=digest))
        try:
            for part in call:
                yield part.data
        finally:
            call.cancel()

    # -- TVM's runtime for boards

    def runtimes(self) -> list[Runtime]:
        """What boards can have, by architecture."""
        with self._errors():
            answer = self._stub.ListRuntimes(control_pb2.ListRuntimesRequest(), timeout=CALL_TIMEOUT_S)
        return [from_message(Runtime, runtime) for runtime in answer.runtimes]

    def put_runtime(self, runtime: Runtime) -> Runtime:
        """Offer ``runtime`` to boards from now on; its libraries were sent with ``put_artifact``."""
        message = to_message(runtime_pb2.Runtime, runtime)
        with self._errors():
            return from_message(Runtime, self._stub.PutRuntime(message, timeout=CALL_TIMEOUT_S))

    # -- measuring

    @stream
    def measure(
        self,
        requests: Iterable[MeasureRequest],
        *,
        client: str,
        pool: str,
        device_class: str = "",
        whole_models: bool = False,
        user: str = "",
        priority: int = 0,
    ) -> Iterator[Measurement | Capacity]:
        """Measure ``requests`` on devices of ``pool``, unrecorded: what the stream answers, as it comes.

        ``user`` may use the devices under that user's lease, and shares the others' time at ``priority``.

        Ends when every request is answered. Leaving the iterator early gives up the rest.
        """
        opening = OpenMeasure(client, "", pool, device_class, whole_models, user=user, priority=priority)
        pending = MeasureCalls(to_message(control_pb2.OpenMeasure, opening))
        requests = list(requests)
        unanswered = {request.trial_id for request in requests}
        with self._errors():
            # The tracker ends what it did not answer when we stop sending: None comes last, after the answers.
            call = self._stub.Measure(iter(pending))
            try:
                for request in requests:
                    message = to_message(measurement_pb2.MeasureRequest, request)
                    pending.put(control_pb2.MeasureCall(trials=[control_pb2.Trial(request=message)]))
                for reply in call:
                    if reply.HasField("capacity"):
                        yield from_message(Capacity, reply.capacity)
                    for message in reply.measurements:
                        measurement = from_message(Measurement, message)
                        unanswered.discard(measurement.trial_id)
                        yield measurement
                    if not unanswered:
                        break
            finally:
                pending.put(None)
                call.cancel()

    # -- errors

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise self._translated(error) from error

    def _translated(self, error: Any) -> FarmError:
        code, details = error.code(), (error.details() or "").strip()
        if code in _LOST or "RST_STREAM" in details or "Stream removed" in details:
            return ConnectionLost(
                f"No tracker answers at {self.address} ({_reason(code, details)}). Is `tracker start` running there, "
                "and may this machine reach that port? Name another one with --tracker HOST:PORT."
            )
        if code in _BAD_INPUT:
            return BadInput(_sentence(details) or f"The tracker refused it ({code.name}) without saying why.")
        # gRPC itself says the same of a message over the limit, which no waiting makes smaller.
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" not in details:
            return TrackerFull(_sentence(details) or f"The tracker at {self.address} has no room left.")
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return FarmError(f"The tracker at {self.address} does not know this request: it is older. Update it.")
        return FarmError(_sentence(details) or f"The tracker at {self.address} failed ({code.name}): its log says why.")


def _sentence(details: str) -> str:
    """The tracker's words as a sentence of ours: its errors are clauses."""
    whole = details[:1].upper() + details[1:]
    return whole + "." if whole and whole[-1] not in ".!?" else whole


def _reason(code: grpc.StatusCode, details: str) -> str:
    """gRPC's paragraph about a failed connection, in few words."""
    for words in ("Connection refused", "No route to host", "Network is unreachable", "Domain name not found"):
        if words.lower() in details.lower():
            return words[0].lower() + words[1:]
    if "DNS resolution failed" in details:
        return "that name is not known here"
    return "no answer in time" if code is grpc.StatusCode.DEADLINE_EXCEEDED else "the connection ended"


def file_digest(path: Path) -> tuple[str, int]:
    """sha256 in hex and size in bytes of a file, read in pieces. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size
