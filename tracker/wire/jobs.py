"""Service Jobs, for whoever wants something tuned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import job_pb2, jobs_pb2, jobs_pb2_grpc
from tvm_farm.tracker.domain import Job, JobSpec, JobState
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.services.jobs import Jobs
from tvm_farm.tracker.services.records import Records
from tvm_farm.tracker.wire.values import read, read_given_name, read_numbers

__all__ = ["JobsServicer"]


@dataclass(frozen=True)
class _ListJobs:
    #: None where any will do.
    state: JobState | None
    limit: int
    group: str


class JobsServicer(jobs_pb2_grpc.JobsServicer):
    def __init__(self, jobs: Jobs, records: Records) -> None:
        self._jobs = jobs
        self._records = records

    async def SubmitJob(self, request: jobs_pb2.SubmitJobRequest, context: Any) -> job_pb2.Job:
        spec = read_numbers(JobSpec, request.spec)
        read_given_name(spec.user, "a user's name")
        read_given_name(spec.model_name, "a model's name")
        return _job(await self._jobs.submit(spec, request.request_id))

    async def GetJob(self, request: jobs_pb2.GetJobRequest, context: Any) -> job_pb2.Job:
        return _job(await self._jobs.get(request.id))

    async def ListJobs(self, request: jobs_pb2.ListJobsRequest, context: Any) -> jobs_pb2.ListJobsResponse:
        asked = read(_ListJobs, request)
        if asked.group:
            if asked.state or asked.limit:
                raise InvalidRequest("a group's jobs are listed all together: leave out state and limit")
            found = await self._jobs.group(asked.group)
        else:
            found = await self._jobs.list(asked.state, asked.limit)
        return jobs_pb2.ListJobsResponse(jobs=map(_job, found))

    async def CancelJob(self, request: jobs_pb2.CancelJobRequest, context: Any) -> job_pb2.Job:
        return _job(await self._jobs.cancel(request.id))

    async def ResumeJob(self, request: jobs_pb2.ResumeJobRequest, context: Any) -> job_pb2.Job:
        return _job(await self._jobs.resume(request.id, request.trials, request.budget_s))

    async def GetJobTimeline(self, request: jobs_pb2.GetJobRequest, context: Any) -> job_pb2.JobTimeline:
        job = await self._jobs.get(request.id)
        return to_message(job_pb2.JobTimeline, await self._records.timeline(job.id))

    async def WatchJob(self, request: jobs_pb2.GetJobRequest, context: Any) -> None:
        async for job in self._jobs.watch(request.id):
            await context.write(_job(job))


def _job(job: Job) -> job_pb2.Job:
    return to_message(job_pb2.Job, job)
