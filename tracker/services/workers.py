"""Tuning workers: who is connected, which job each has, and what becomes of a job that loses its worker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace

from tvm_farm.tracker.domain import (
    CancelJob,
    FinishedSeen,
    Job,
    JobFailure,
    JobProgress,
    JobResult,
    JobState,
    StartJob,
    WorkerHello,
    WorkOrder,
)
from tvm_farm.tracker.domain.compatibility import check_protocol, check_tvm
from tvm_farm.tracker.domain.errors import InvalidRequest, TrackerError
from tvm_farm.tracker.domain.job_life import failed, finished, started
from tvm_farm.tracker.scheduling.job_queue import TURNS
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.jobs import Jobs
from tvm_farm.tracker.services.measuring import Measuring
from tvm_farm.tracker.services.store_thread import StoreThread

__all__ = ["GRACE_S", "SILENCE_S", "WorkerSession", "Workers"]

log = logging.getLogger(__name__)

#: A worker that says nothing for this long is lost.
SILENCE_S = 30.0
#: A job waits this long for its worker to come back before another one gets it.
GRACE_S = 10.0


class WorkerSession:
    """One stream of one worker. ``send(None)`` ends it.

    ``attaching``: the job that it came with, while the store is asked whether it keeps it; ``ready``: it is known
    what it works on, and it may be given a job; ``warm``: it has TVM loaded and would start one at once.
    """

    def __init__(self, hello: WorkerHello, send: Callable[[WorkOrder | None], None]) -> None:
        self.hello = hello
        self.send = send
        self.job_id = ""
        self.attaching = hello.running_job
        self.ready = False
        self.warm = False

    @property
    def worker_id(self) -> str:
        return self.hello.worker_id


@dataclass(frozen=True)
class _Orphan:
    """A job that waits for the worker which the store names, until ``timer`` fires."""

    worker_id: str
    timer: asyncio.TimerHandle


class Workers:
    """Used in the event loop alone."""

    def __init__(
        self,
        jobs: Jobs,
        measuring: Measuring,
        store: StoreThread,
        artifacts: ArtifactStore,
        grace_s: float = GRACE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._jobs = jobs
        self._measuring = measuring
        self._thread = store
        self._store = store.store
        self._artifacts = artifacts
        self._grace_s = grace_s
        self._clock = clock
        self._sessions: dict[str, WorkerSession] = {}
        self._orphans: dict[str, _Orphan] = {}
        self._assigning = asyncio.Lock()
        self._from_before: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> int:
        return len(self._sessions)

    @property
    def warm(self) -> int:
        """Connected workers that would start a job at once."""
        return sum(session.warm for session in self._sessions.values())

    async def load(self) -> None:
        """Jobs that ran when the tracker ended wait for their workers."""
        for job in await self._thread.run(self._store.jobs.newest, JobState.RUNNING):
            self._from_before.add(job.id)
            self._orphan(job.id, job.worker_id)
        self._jobs.workers_connected = lambda: self.connected
        self._jobs.on_queued = self.assign_soon
        self._jobs.on_cancelled = self._cancelled

    async def connect(self, hello: WorkerHello, send: Callable[[WorkOrder | None], None]) -> WorkerSession:
        """A worker is there. It keeps the job that it runs if that is still its, else is told to drop it.

        Raises VersionMismatch or InvalidRequest.
        """
        check_protocol(hello.protocol_version, "worker")
        check_tvm(hello.versions.get("tvm", ""), "worker", hello.host)
        if not hello.worker_id:
            raise InvalidRequest("the worker sent no id: upgrade the worker")
        session = WorkerSession(hello, send)
        if (before := self._sessions.pop(hello.worker_id, None)) is not None:
            self._detach(before)
            before.send(None)
        self._sessions[hello.worker_id] = session
        log.info("worker %s connected from %s", hello.worker_id, hello.host, extra=_of(hello.worker_id))
        try:
            if hello.running_job:
                # The store's answer is acted upon also when this call is cancelled before it comes.
                await asyncio.shield(self._spawn(self._attach(session, hello.running_job)))
            await self._release_forgotten(session)
        except BaseException:
            self.disconnected(session)
            raise
        session.ready = True
        self.assign_soon()
        return session

    async def _attach(self, session: WorkerSession, job_id: str) -> None:
        def take(job: Job) -> Job:
            if job.state is JobState.QUEUED:
                return started(job, session.worker_id, self._clock())
            if job.state is JobState.RUNNING and self._holder(job.id) is None:
                return replace(job, worker_id=session.worker_id)
            return job

        try:
            job = await self._thread.insist(self._store.jobs.change, job_id, take)
        finally:
            session.attaching = ""
        if job is None or job.state is not JobState.RUNNING or job.worker_id != session.worker_id:
            session.send(CancelJob(job_id))
            return
        self._adopted(job_id)
        if self._sessions.get(session.worker_id) is not session:
            # It went while the store was asked: the job waits for its next stream.
            if not self._wanted(job_id):
                self._orphan(job_id, session.worker_id)
            return
        session.job_id = job_id
        self._from_before.discard(job_id)
        log.info("worker %s goes on with job %s", session.worker_id, job_id, extra=_of(session.worker_id, job_id))
        self._jobs.changed(job_id)

    async def _release_forgotten(self, session: WorkerSession) -> None:
        """Jobs that the store gives to this worker, and that it does not know any more, need not wait."""
        for job in await self._thread.run(self._store.jobs.newest, JobState.RUNNING):
            if job.worker_id == session.worker_id and job.id != session.job_id and job.id in self._orphans:
                self._adopted(job.id)
                await self._lose(job.id, session.worker_id)

    def _holder(self, job_id: str) -> WorkerSession | None:
        return next((s for s in list(self._sessions.values()) if s.job_id == job_id), None)

    def _wanted(self, job_id: str) -> bool:
        """Whether a connected worker has the job, or has come back with it."""
        return any(job_id in (s.job_id, s.attaching) for s in self._sessions.values())

    def disconnected(self, session: WorkerSession) -> None:
        if self._sessions.get(session.worker_id) is session:
            del self._sessions[session.worker_id]
            log.info("worker %s is gone", session.worker_id, extra=_of(session.worker_id))
        self._detach(session)

    def _detach(self, session: WorkerSession) -> None:
        job_id, session.job_id = session.job_id, ""
        if job_id:
            self._orphan(job_id, session.worker_id)

    def _orphan(self, job_id: str, worker_id: str) -> None:
        if job_id not in self._orphans:
            loop = asyncio.get_running_loop()
            self._orphans[job_id] = _Orphan(worker_id, loop.call_later(self._grace_s, self._grace_over, job_id))

    def _adopted(self, job_id: str) -> None:
        """The job waits for its worker no more."""
        if orphan := self._orphans.pop(job_id, None):
            orphan.timer.cancel()

    def _grace_over(self, job_id: str) -> None:
        if orphan := self._orphans.pop(job_id, None):
            self._spawn(self._lose(job_id, orphan.worker_id))

    async def _lose(self, job_id: str, worker_id: str) -> None:
        if self._wanted(job_id):
            return
        counts = job_id not in self._from_before
        self._from_before.discard(job_id)
        job = await self._thread.insist(self._store.jobs.lose_worker, job_id, worker_id, self._clock(), counts=counts)
        if job is None or job.state is JobState.RUNNING:
            return
        log.warning(
            "job %s lost its worker %s and is %s", job_id, worker_id, job.state.value, extra=_of(worker_id, job_id)
        )
        if job.state is not JobState.QUEUED or not self._wanted(job_id):
            # Else its worker came back meanwhile and goes on: what it measures is wanted.
            self._measuring.cancel_job(job_id)
        self._jobs.changed(job_id)
        self.assign_soon()

    def assign_soon(self) -> None:
        """Give queued jobs to free workers."""
        self._spawn(self._assign())

    async def _assign(self) -> None:
        async with self._assigning:
            while frees := [s for s in self._sessions.values() if s.ready and not s.job_id]:
                free = max(frees, key=lambda s: s.warm)
                job = await self._thread.insist(self._store.jobs.claim, free.worker_id, self._clock(), TURNS)
                if job is None:
                    return
                if self._sessions.get(free.worker_id) is not free:
                    self._orphan(job.id, free.worker_id)
                    continue
                free.job_id = job.id
                log.info("job %s starts on worker %s", job.id, free.worker_id, extra=_of(free.worker_id, job.id))
                free.send(StartJob(job))
                self._jobs.changed(job.id)

    def _cancelled(self, job_id: str) -> None:
        self._adopted(job_id)
        self._measuring.cancel_job(job_id)
        if (session := self._holder(job_id)) is not None:
            session.send(CancelJob(job_id))
            session.job_id = ""
        # Also where it had none: others of its group may have waited for it.
        self.assign_soon()

    async def progress(self, session: WorkerSession, progress: JobProgress) -> None:
        """Of a job that is not this worker's any more: it is told to drop it."""
        if session.job_id != progress.job_id:
            session.send(CancelJob(progress.job_id))
            return

        def advance(job: Job) -> Job:
            if job.state is not JobState.RUNNING:
                return job
            tuned_for_s = max(job.tuned_for_s, progress.tuned_for_s)
            return replace(job, phase=progress.phase or job.phase, tuned_for_s=tuned_for_s)

        if progress.tasks:
            await self._thread.insist(self._store.jobs.add_tasks, progress.job_id, progress.tasks)
        await self._thread.insist(self._store.jobs.change, progress.job_id, advance)
        self._jobs.changed(progress.job_id)

    async def finished(self, session: WorkerSession, job_id: str, outcome: JobResult | JobFailure) -> None:
        """A job ended. Told again after a lost answer it is answered again; what is done twice counts once."""
        now = self._clock()
        if isinstance(outcome, JobResult):
            outcome = self._complete(job_id, outcome)
        if isinstance(outcome, JobFailure):
            failure = outcome
            log.warning("job %s failed: %s", job_id, failure.error, extra={"job": job_id, "traceback": failure.detail})

            def end(job: Job) -> Job:
                return failed(job, failure.error or "no reason given", input_error=failure.input_error, now=now)
        else:
            result = outcome

            def end(job: Job) -> Job:
                return finished(job, result, now)

        await self._thread.insist(self._store.jobs.change, job_id, end)
        await self._thread.insist(self._store.checkpoint)
        self._adopted(job_id)
        holder = self._holder(job_id)
        if holder is not None:
            holder.job_id = ""
            if holder is not session:
                holder.send(CancelJob(job_id))
        session.send(FinishedSeen(job_id))
        self._jobs.changed(job_id)
        self.assign_soon()

    def _complete(self, job_id: str, result: JobResult) -> JobResult | JobFailure:
        missing = [file.name for file in result.files if file.content.digest not in self._artifacts]
        if missing:
            return JobFailure(f"the worker did not upload {', '.join(missing)} of the package")
        return result

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            if isinstance(error, TrackerError):
                log.error("%s", error)
            else:
                log.error("a job's state could not be changed", exc_info=error)

    async def stop(self) -> None:
        for orphan in self._orphans.values():
            orphan.timer.cancel()
        self._orphans.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _of(worker_id: str, job_id: str = "") -> dict[str, str]:
    """What an event of the log is of."""
    return {"worker": worker_id, "job": job_id}
