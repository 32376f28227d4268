"""A Farm's jobs: submit, look, watch, cancel, go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import job_pb2, jobs_pb2, jobs_pb2_grpc
from tvm_farm.tracker.client.link import Link, Stop
from tvm_farm.tracker.client.user import user_name
from tvm_farm.tracker.domain import Job, JobGroup, JobSpec, JobState, JobTimeline

__all__ = ["Jobs"]

#: A resumed job waits for the store's disk; a timeline is made of all records of its job.
_RESUME_TIMEOUT_S = 60.0
_TIMELINE_TIMEOUT_S = 300.0


class Jobs:
    """A ``job_id`` may be an unambiguous start of it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stub = jobs_pb2_grpc.JobsStub(link.channel)

    def submit(self, spec: JobSpec, request_id: str) -> Job:
        """The new job; the first one's when ``request_id`` was seen before, so a retry makes no second.

        A ``spec`` without a user is of whoever runs this process.
        """
        spec = replace(spec, user=spec.user or user_name())
        request = jobs_pb2.SubmitJobRequest(spec=to_message(job_pb2.JobSpec, spec), request_id=request_id)
        return from_message(Job, self._link.call(self._stub.SubmitJob, request))

    def get(self, job_id: str) -> Job:
        return from_message(Job, self._link.call(self._stub.GetJob, jobs_pb2.GetJobRequest(id=job_id)))

    def list(self, state: JobState | None = None, limit: int = 0) -> tuple[Job, ...]:
        """Newest first, without their tasks. ``limit`` 0 means all."""
        wanted = f"JOB_STATE_{state.name if state else 'UNSPECIFIED'}"
        answer = self._link.call(self._stub.ListJobs, jobs_pb2.ListJobsRequest(state=wanted, limit=limit))
        return tuple(from_message(Job, job) for job in answer.jobs)

    def group(self, job_id: str) -> JobGroup:
        """All jobs of the group that ``job_id`` names, with their tasks, or the one job."""
        return JobGroup(self._group(job_id) or (self.get(job_id),))

    def group_of(self, job: Job) -> JobGroup:
        """All jobs of the request that ``job`` belongs to."""
        return self.group(job.group) if job.group else JobGroup((job,))

    def _group(self, start: str) -> tuple[Job, ...]:
        """The jobs of a group in their order; none where ``start`` is not the start of one's id."""
        if not start:
            return ()  # the wire's word for all groups' jobs
        answer = self._link.call(self._stub.ListJobs, jobs_pb2.ListJobsRequest(group=start))
        return tuple(from_message(Job, job) for job in answer.jobs)

    def timeline(self, job_id: str) -> JobTimeline:
        """Where the job's time went, so far."""
        request = jobs_pb2.GetJobRequest(id=job_id)
        return from_message(JobTimeline, self._link.call(self._stub.GetJobTimeline, request, _TIMELINE_TIMEOUT_S))

    def cancel(self, job_id: str) -> JobGroup:
        """Cancel a job, or those of a group that have not ended; they are returned as they are then."""
        several = bool(self._group(job_id))
        job = from_message(Job, self._link.call(self._stub.CancelJob, jobs_pb2.CancelJobRequest(id=job_id)))
        return self.group_of(job) if several else JobGroup((job,))

    def resume(self, job_id: str, trials: int = 0, budget_s: float = 0.0) -> Job:
        """Let an ended job go on: with so much more, or both 0 with what is left of its limits."""
        request = jobs_pb2.ResumeJobRequest(id=job_id, trials=trials, budget_s=budget_s)
        return from_message(Job, self._link.call(self._stub.ResumeJob, request, _RESUME_TIMEOUT_S))

    def watch(self, job_id: str, *, timeout_s: float | None = None, stop: Stop | None = None) -> Iterator[Job]:
        """A snapshot whenever the job, or one of the group, changed, to the end. Raises ConnectionLost on the way, and
        after ``timeout_s`` and at ``stop``.
        """
        request = jobs_pb2.GetJobRequest(id=job_id)
        read = partial(from_message, Job)
        return self._link.stream(self._stub.WatchJob, request, read, timeout_s=timeout_s, stop=stop)
