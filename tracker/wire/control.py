"""Service Control, what people and programs ask: status, devices, pools, jobs, records, artifacts, runtimes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import control_pb2, device_pb2, job_pb2, measurement_pb2, record_pb2, runtime_pb2
from tvm_farm.tracker.domain import Artifact, Device, Job, JobSpec, JobState, Record, RecordFilter, Runtime, Workload
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.desk import FrontDesk
from tvm_farm.tracker.services.exchange import Exchange
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.jobs import Jobs
from tvm_farm.tracker.services.records import Records
from tvm_farm.tracker.services.runtimes import Runtimes
from tvm_farm.tracker.services.upgrades import Upgrades
from tvm_farm.tracker.wire.sql_answer import sql_answer
from tvm_farm.tracker.wire.streams import StreamServicer
from tvm_farm.tracker.wire.tuning_log import TuningLogServicer
from tvm_farm.tracker.wire.values import read

__all__ = ["ControlServicer"]


class ControlServicer(TuningLogServicer, StreamServicer):
    """The calls that answer once or list; the log's exchange and the two streams are in modules of their own."""

    def __init__(
        self,
        farm: str,
        version: str,
        fleet: Fleet,
        desk: FrontDesk,
        jobs: Jobs,
        records: Records,
        artifacts: ArtifactStore,
        runtimes: Runtimes,
        upgrades: Upgrades,
        exchange: Exchange,
        **streams: Any,
    ) -> None:
        super().__init__(**streams)
        self._farm = farm
        self._version = version
        self._fleet = fleet
        self._desk = desk
        self._jobs = jobs
        self._records = records
        self._artifacts = artifacts
        self._runtimes = runtimes
        self._upgrades = upgrades
        self._exchange = exchange

    async def GetStatus(self, request: control_pb2.GetStatusRequest, context: Any) -> control_pb2.Status:
        jobs = await self._jobs.counts()
        return control_pb2.Status(
            farm=self._farm,
            version=self._version,
            protocol_version=PROTOCOL_VERSION,
            devices_connected=len(self._fleet.connected()),
            workers_connected=self._workers.connected,
            workers_warm=self._workers.warm,
            jobs_running=jobs[JobState.RUNNING],
            jobs_queued=jobs[JobState.QUEUED],
            now_unix_s=time.time(),
        )

    async def ListDevices(
        self, request: control_pb2.ListDevicesRequest, context: Any
    ) -> control_pb2.ListDevicesResponse:
        return control_pb2.ListDevicesResponse(devices=map(_device, self._fleet.devices(request.pool)))

    async def LeaseDevice(self, request: control_pb2.LeaseDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._desk.lease(request.device, request.user, request.for_s))

    async def ReleaseDevice(self, request: control_pb2.ReleaseDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._desk.release(request.device, request.user))

    async def DrainDevice(self, request: control_pb2.DrainDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._desk.drain(request.device, request.user, request.reason))

    async def ResumeDevice(self, request: control_pb2.ResumeDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._desk.resume(request.device))

    async def LabelDevice(self, request: control_pb2.LabelDeviceRequest, context: Any) -> device_pb2.Device:
        return _device(await self._desk.label(request.device, dict(request.put), list(request.remove)))

    async def UpgradeDevice(self, request: control_pb2.UpgradeDeviceRequest, context: Any) -> device_pb2.Device:
        if not request.digest:
            return _device(await self._upgrades.cancel(request.device))
        return _device(await self._upgrades.order(request.device, request.user, request.digest))

    async def ListPools(self, request: control_pb2.ListPoolsRequest, context: Any) -> control_pb2.ListPoolsResponse:
        return control_pb2.ListPoolsResponse(pools=[to_message(device_pb2.Pool, p) for p in self._fleet.pools()])

    async def PutPool(self, request: control_pb2.PutPoolRequest, context: Any) -> device_pb2.Pool:
        return to_message(device_pb2.Pool, await self._fleet.put_pool(request.name, dict(request.selector)))

    async def DeletePool(self, request: control_pb2.DeletePoolRequest, context: Any) -> control_pb2.DeletePoolResponse:
        await self._jobs.delete_pool(request.name)
        return control_pb2.DeletePoolResponse()

    async def SubmitJob(self, request: control_pb2.SubmitJobRequest, context: Any) -> job_pb2.Job:
        spec = read(JobSpec, request.spec)
        return _job(await self._jobs.submit(spec, request.request_id))

    async def GetJob(self, request: control_pb2.GetJobRequest, context: Any) -> job_pb2.Job:
        return _job(await self._jobs.get(request.id))

    async def ListJobs(self, request: control_pb2.ListJobsRequest, context: Any) -> control_pb2.ListJobsResponse:
        if request.group:
            if request.state or request.limit:
                raise InvalidRequest("a group's jobs are listed all together: leave out state and limit")
            found = await self._jobs.group(request.group)
        else:
            state = _member(JobState, job_pb2.JobState.Name(request.state), "JOB_STATE_")
            found = await self._jobs.list(state, request.limit)
        return control_pb2.ListJobsResponse(jobs=map(_job, found))

    async def CancelJob(self, request: control_pb2.CancelJobRequest, context: Any) -> job_pb2.Job:
        return _job(await self._jobs.cancel(request.id))

    async def ResumeJob(self, request: control_pb2.ResumeJobRequest, context: Any) -> job_pb2.Job:
        return _job(await self._jobs.resume(request.id, request.trials, request.budget_s))

    async def GetJobTimeline(self, request: control_pb2.GetJobRequest, context: Any) -> job_pb2.JobTimeline:
        job = await self._jobs.get(request.id)
        return to_message(job_pb2.JobTimeline, await self._records.timeline(job.id))

    async def WatchJob(self, request: control_pb2.GetJobRequest, context: Any) -> None:
        async for job in self._jobs.watch(request.id):
            await context.write(_job(job))

    async def QueryRecords(self, request: record_pb2.RecordFilter, context: Any) -> None:
        async for record in self._records.query(read(RecordFilter, request)):
            await context.write(to_message(record_pb2.Record, record))

    async def GetRecord(self, request: control_pb2.GetRecordRequest, context: Any) -> record_pb2.Record:
        return to_message(record_pb2.Record, await self._records.record(request.trial_id))

    async def QuerySql(self, request: record_pb2.SqlQuery, context: Any) -> None:
        for part in sql_answer(await self._records.sql(request.sql, request.limit)):
            await context.write(part)

    async def BestRecords(
        self, request: control_pb2.BestRecordsRequest, context: Any
    ) -> control_pb2.BestRecordsResponse:
        best = await self._records.best(
            list(request.workloads),
            request.pool,
            request.device_class,
            request.target,
            request.per_workload,
            request.apart_from,
            request.near,
        )
        return control_pb2.BestRecordsResponse(records=[to_message(record_pb2.Record, record) for record in best])

    async def RefuteRecords(
        self, request: control_pb2.RefuteRecordsRequest, context: Any
    ) -> control_pb2.RefuteRecordsResponse:
        refuted = await self._records.refute(request.trial_id, request.detail)
        return control_pb2.RefuteRecordsResponse(records=refuted)

    async def GetWorkload(self, request: control_pb2.GetWorkloadRequest, context: Any) -> record_pb2.Workload:
        return to_message(record_pb2.Workload, await self._jobs.workload(request.key))

    async def AddRecords(self, request: control_pb2.AddRecordsRequest, context: Any) -> control_pb2.AddRecordsResponse:
        workloads = [read(Workload, workload) for workload in request.workloads]
        records = [read(Record, record) for record in request.records]
        await self._records.add(workloads, records, self._version)
        return control_pb2.AddRecordsResponse()

    async def PutArtifact(
        self, requests: AsyncIterator[control_pb2.ArtifactUpload], context: Any
    ) -> measurement_pb2.Artifact:
        stored: Artifact = await self._artifacts.put(upload.data async for upload in requests)
        return to_message(measurement_pb2.Artifact, stored)

    async def GetArtifact(self, request: control_pb2.GetArtifactRequest, context: Any) -> None:
        async for chunk in self._artifacts.get(request.digest):
            await context.write(control_pb2.ArtifactDownload(data=chunk))

    async def ListRuntimes(
        self, request: control_pb2.ListRuntimesRequest, context: Any
    ) -> control_pb2.ListRuntimesResponse:
        runtimes = [to_message(runtime_pb2.Runtime, runtime) for runtime in await self._runtimes.all()]
        return control_pb2.ListRuntimesResponse(runtimes=runtimes)

    async def PutRuntime(self, request: runtime_pb2.Runtime, context: Any) -> runtime_pb2.Runtime:
        return to_message(runtime_pb2.Runtime, await self._runtimes.put(read(Runtime, request)))


def _device(device: Device) -> device_pb2.Device:
    return to_message(device_pb2.Device, device)


def _job(job: Job) -> job_pb2.Job:
    return to_message(job_pb2.Job, job)


def _member(enum_type: Any, name: str, prefix: str) -> Any:
    plain = name.removeprefix(prefix)
    return None if plain == "UNSPECIFIED" else enum_type[plain]
