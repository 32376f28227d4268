"""Jobs as people see them: submit, look, watch, cancel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial

from tvm_farm.protos.runtime import RuntimeRequest
from tvm_farm.protos.suggestions import no_such
from tvm_farm.tracker.domain import Device, Job, JobKind, JobSpec, JobState
from tvm_farm.tracker.domain.device_class import with_runtime
from tvm_farm.tracker.domain.engine import ENGINES, takes_templates
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound, NotPossible
from tvm_farm.tracker.domain.job import check_priority, shape_sets
from tvm_farm.tracker.domain.job_life import WAITING, cancelled, placed, resumed
from tvm_farm.tracker.domain.operator_file import parse_operator
from tvm_farm.tracker.domain.target import ANY_CPU, overridden
from tvm_farm.tracker.scheduling.budget_shares import shared
from tvm_farm.tracker.scheduling.job_queue import TURNS
from tvm_farm.tracker.scheduling.tuned_classes import class_is_gone, tuned_classes
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.runtimes import Runtimes
from tvm_farm.tracker.services.store_thread import StoreThread

__all__ = ["Jobs"]

log = logging.getLogger(__name__)

#: Of so many jobs, the newest, one is meant by an id that is none.
_LIKELY = 100

#: A watcher gets at most one snapshot in this time, and the last one always.
_WATCH_S = 0.25
#: Without a change, utilisation and devices of a running job are still told this often.
_WATCH_IDLE_S = 2.0
_NO_WORKER = "no tuning worker is connected; the tracker's log says why, or start one with `tracker worker`"
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"


class Jobs:
    """Used in the event loop alone. ``on_queued``, ``on_cancelled`` and ``workers_connected`` are of who runs them."""

    def __init__(
        self,
        fleet: Fleet,
        store: StoreThread,
        artifacts: ArtifactStore,
        runtimes: Runtimes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._thread = store
        self._store = store.store
        self._artifacts = artifacts
        self._runtimes = runtimes
        self._clock = clock
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self.workers_connected: Callable[[], int] = lambda: 0
        self.on_queued: Callable[[], None] = lambda: None
        self.on_cancelled: Callable[[str], None] = lambda job_id: None

    async def submit(self, spec: JobSpec, request_id: str) -> Job:
        """Keep a job for each device class that ``spec`` is for, and queue them; the first one is returned.

        The same non-empty ``request_id`` again gives the same job. Raises NotFound for an unknown pool, InvalidRequest
        for a spec that no farm could do, NoBoard when no device that is there fits.
        """
        if earlier := await self._thread.run(self._store.jobs.of_request, request_id):
            return await self._shown(earlier)
        self._check(spec)
        spec = replace(spec, device_class=self._fleet.class_named(spec.device_class))
        if spec.kind is JobKind.CHECK and not spec.pool:
            return await self._queue([self._job_without_pool(spec)], request_id)
        self._fleet.pool(spec.pool)
        there = self._fleet.devices()
        devices = tuned_classes(spec, there if spec.device_class else [await self._soon(each) for each in there])
        name = _new_id(spec.model_name)
        group = name if len(devices) > 1 else ""
        now = self._clock()
        jobs: list[Job] = []
        for device, share in zip(devices, shared(spec, [d.device_class for d in devices]), strict=True):
            job = Job(
                id=f"{name}.{len(jobs) + 1}" if group else name,
                spec=_without_bytes(share),
                phase=f"{WAITING}; its turn comes after {jobs[-1].id}" if jobs else WAITING,
                created_unix_s=now,
                target=overridden(device.target, spec.target),
                device_class=device.device_class,
                group=group,
            )
            jobs.append(job)
        return await self._queue(jobs, request_id)

    async def _soon(self, device: Device) -> Device:
        """A board whose runtime is on its way, as it is when it has come: in a class of its own by then.

        A job that began in the class of now would wait there for ever.
        """
        if device.telemetry is None or device.telemetry.runtime_share is None:
            return device
        offer = await self._runtimes.offer(RuntimeRequest(device.fingerprint.arch, device.fingerprint.libc))
        return with_runtime(device, offer.runtime) if offer.runtime else device

    def _job_without_pool(self, spec: JobSpec) -> Job:
        if spec.device_class:
            raise InvalidRequest(f"the class {spec.device_class} is one of no pool: name the pool as well")
        return Job(
            id=_new_id(spec.model_name),
            spec=_without_bytes(spec),
            phase=WAITING,
            created_unix_s=self._clock(),
            target=overridden(ANY_CPU, spec.target),
        )

    async def _queue(self, jobs: Sequence[Job], request_id: str) -> Job:
        kept = await self._thread.run(self._store.jobs.add, jobs[0], request_id, jobs[1:])
        await self._thread.insist(self._store.checkpoint)
        for job in jobs if kept.id == jobs[0].id else ():
            spec = job.spec
            where = f" on pool {spec.pool}, class {job.device_class}" if spec.pool else ", for no pool"
            log.info("job %s queued: %s%s", job.id, spec.model_name, where, extra={"job": job.id})
        self.on_queued()
        return await self._shown(kept)

    def _check(self, spec: JobSpec) -> None:
        if spec.engine not in ENGINES:
            raise InvalidRequest(f"there is no engine '{spec.engine}': this farm has {', '.join(ENGINES)}")
        if spec.model.digest not in self._artifacts:
            raise InvalidRequest(f"the model {spec.model_name} ({spec.model.digest or 'no digest'}) was not uploaded")
        if not spec.budget_s >= 0:
            raise InvalidRequest(f"the budget must be positive, not {spec.budget_s:g} s")
        check_priority(spec.priority)
        shape_sets(spec.shapes)
        if spec.operator and parse_operator(spec.operator) is None:
            raise InvalidRequest(f"{spec.operator} names no operator: write FILE.py:NAME")
        if spec.templates and (spec.kind is not JobKind.TUNE or not takes_templates(spec.engine)):
            raise InvalidRequest(
                f"templates are for auto and the autotvm engines, and '{spec.engine}' has no use for them"
            )
        sent = [(f"the templates {file.name}", file.content) for file in spec.templates]
        sent += [(f"the data file {file.name}", file.content) for file in spec.data]
        sent += [("the inputs", spec.inputs)] if spec.inputs is not None else []
        for what, content in sent:
            if content.digest not in self._artifacts:
                raise InvalidRequest(f"{what} ({content.digest or 'no digest'}): not uploaded")
        if spec.fixed and spec.operator:
            raise InvalidRequest(f"{spec.operator} is an operator: inputs are fixed for models alone")
        for each in spec.fixed:
            try:
                json.loads(each.value)
            except (ValueError, RecursionError):
                raise InvalidRequest(f"input {each.name} is fixed to {each.value[:80]!r}, which is no JSON") from None
        if spec.parameters and not spec.operator:
            raise InvalidRequest(f"the model {spec.model_name} takes no parameters: they are an operator's")
        if spec.kind is JobKind.TUNE and not (spec.max_trials or spec.budget_s):
            raise InvalidRequest("a tuning job needs a limit: a number of trials, a time, or both")

    async def _shown(self, job: Job) -> Job:
        return (await self._all_shown([job]))[0]

    async def _all_shown(self, jobs: Sequence[Job]) -> list[Job]:
        """``jobs`` as ``seen``, those that wait with their places."""
        shown = [self.seen(job) for job in jobs]
        if all(job.state is not JobState.QUEUED for job in jobs):
            return shown
        places = {job_id: n for n, job_id in enumerate(await self._thread.run(self._store.jobs.queue, TURNS), 1)}
        return [placed(job, places[job.id]) if job.id in places else job for job in shown]

    async def get(self, start: str) -> Job:
        """The job with this id, or the only one whose id starts with it. Raises NotFound."""
        if not start:
            raise InvalidRequest("no job id was given")
        ids = await self._thread.run(self._store.jobs.ids, start)
        if len(ids) > 1:
            raise NotFound(f"'{start}' is the start of several jobs: {', '.join(ids)}")
        job = await self._thread.run(self._store.jobs.get, ids[0]) if ids else None
        if job is None:
            newest = await self._thread.run(self._store.jobs.newest, None, _LIKELY)
            raise NotFound(no_such("job", start, (each.id for each in newest)))
        return await self._shown(job)

    async def group(self, start: str) -> list[Job]:
        """Jobs of the group with this id, or of the only one whose id starts with it; none where it is no group's."""
        jobs = await self._named(start)
        return await self._all_shown(jobs) if jobs and jobs[0].group and len(jobs) > 1 else []

    async def _named(self, start: str) -> list[Job]:
        """The job or the jobs of the group that ``start`` names; none where that is nothing or several things."""
        ids = await self._thread.run(self._store.jobs.ids, start) if start else []
        if not ids:
            return []
        first = await self._thread.run(self._store.jobs.get, ids[0])
        if first is None or len(ids) == 1:
            return [first] if first else []
        jobs = await self._thread.run(self._store.jobs.of_group, first.group)
        return jobs if {job.id for job in jobs} >= set(ids) else []

    async def list(self, state: JobState | None, limit: int) -> list[Job]:
        """Newest first, without tasks; refused ones only where ``state`` asks for them."""
        return await self._all_shown(await self._thread.run(self._store.jobs.newest, state, limit))

    async def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        kept = await self._thread.run(self._store.jobs.counts)
        return {state: kept.get(state, 0) for state in JobState}

    async def cancel(self, start: str) -> Job:
        """Cancel a job, or those of a group that have not ended; the first of them is returned.

        Raises NotFound, or NotPossible where all have ended otherwise.
        """
        jobs = await self._named(start) or [await self.get(start)]
        first, *others = [job for job in jobs if not _ended(job)] or jobs[:1]
        # The last first: else one that waits for another would begin before it is cancelled itself.
        for other in reversed(others):
            await self._cancel(other.id)
        try:
            return self.seen(await self._cancel(first.id))
        except NotPossible:
            # It ended just now; that the others are cancelled is what was asked for.
            if not others:
                raise
            return await self.get(first.id)

    async def _cancel(self, job_id: str) -> Job:
        job = await self._thread.run(self._store.jobs.change, job_id, partial(cancelled, now=self._clock()))
        if job is None:
            raise NotFound(f"there is no job '{job_id}'")
        log.info("job %s cancelled", job_id, extra={"job": job_id})
        self.on_cancelled(job_id)
        self.changed(job_id)
        return job

    async def resume(self, start: str, trials: int, budget_s: float) -> Job:
        """Let an ended job go on, see job_life.resumed. The jobs of a group go on one by one, each by its own id.

        Raises NotFound, NotPossible, InvalidRequest.
        """
        jobs = await self._named(start) or [await self.get(start)]
        if len(jobs) > 1:
            raise InvalidRequest(
                f"job {start} is a group of several: name the one that goes on, {' or '.join(j.id for j in jobs)}"
            )
        job_id, spec = jobs[0].id, jobs[0].spec
        if any(file.digest not in self._artifacts for file in spec.files):
            raise NotPossible(
                f"job {job_id} was merged from another farm, without its files: tune {spec.model_name} anew, which "
                "begins with its records"
            )
        job = await self._thread.run(
            self._store.jobs.change, job_id, partial(resumed, trials=trials, budget_s=budget_s)
        )
        if job is None:
            raise NotFound(f"there is no job '{job_id}'")
        await self._thread.insist(self._store.checkpoint)
        log.info("job %s goes on from its %d trials", job_id, job.trials, extra={"job": job_id})
        self.changed(job_id)
        self.on_queued()
        return await self._shown(job)

    async def watch(self, start: str) -> AsyncIterator[Job]:
        """A snapshot now and after changes, at most four a second; the last one is the job's end.

        Of a group: of each of its jobs; it ends when all have ended.
        """
        ids = [job.id for job in await self._named(start) or [await self.get(start)]]
        event = asyncio.Event()
        for job_id in ids:
            self._watchers.setdefault(job_id, set()).add(event)
        try:
            async for job in self._snapshots(ids, event):
                yield job
        finally:
            for job_id in ids:
                watchers = self._watchers[job_id]
                watchers.discard(event)
                if not watchers:
                    del self._watchers[job_id]

    async def _snapshots(self, ids: Sequence[str], event: asyncio.Event) -> AsyncIterator[Job]:
        told: dict[str, Job] = {}
        while True:
            event.clear()
            for job_id in ids:
                if job_id in told and _ended(told[job_id]):
                    continue
                current = await self._thread.run(self._store.jobs.get, job_id)
                assert current is not None
                seen = await self._shown(current)
                # One that runs is told of anyway, so that its watchers see time go by.
                if seen != told.get(job_id) or seen.state is JobState.RUNNING:
                    told[job_id] = seen
                    yield seen
            if all(map(_ended, told.values())):
                return
            await asyncio.sleep(_WATCH_S)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(event.wait(), _WATCH_IDLE_S)

    def changed(self, job_id: str) -> None:
        """Something about the job is other than before: its watchers look again."""
        for event in self._watchers.get(job_id, ()):
            event.set()

    def seen(self, job: Job) -> Job:
        """``job`` with the devices that work for it now; one that waits in vain says for what."""
        if job.state is JobState.QUEUED and not self.workers_connected():
            job = replace(job, phase=job.phase.replace(WAITING, _NO_WORKER, 1))
        if _ended(job):
            return job
        now = self._clock()
        shares = [
            board.utilised(now)
            for board in self._fleet.connected()
            if board.device.device_class == job.device_class
            and job.spec.pool in board.device.pools
            and board.device.open_to(job.spec.user)
        ]
        if not shares and job.state is JobState.RUNNING and _needs_boards(job.spec):
            gone = class_is_gone(job.spec, job.device_class, self._fleet.devices())
            job = replace(job, phase=gone or job.phase)
        utilisation = sum(shares) / len(shares) if shares else 0.0
        return replace(job, devices=len(shares), utilisation=utilisation)

    async def delete_pool(self, name: str) -> None:
        """Raises NotPossible while an unfinished job works on the pool."""
        for state in (JobState.QUEUED, JobState.RUNNING):
            for job in await self._thread.run(self._store.jobs.newest, state):
                if job.spec.pool == name:
                    raise NotPossible(f"job {job.id} is {state.value} on the pool '{name}': cancel it first")
        await self._fleet.delete_pool(name)


def _without_bytes(spec: JobSpec) -> JobSpec:
    """As it is kept: its files are artifacts."""
    templates = tuple(replace(file, content=replace(file.content, inline=b"")) for file in spec.templates)
    data = tuple(replace(file, content=replace(file.content, inline=b"")) for file in spec.data)
    inputs = None if spec.inputs is None else replace(spec.inputs, inline=b"")
    return replace(spec, model=replace(spec.model, inline=b""), templates=templates, data=data, inputs=inputs)


def _needs_boards(spec: JobSpec) -> bool:
    return bool(spec.pool) and not spec.kind.answers_only


def _ended(job: Job) -> bool:
    return job.state.final


def _new_id(model_name: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", model_name.lower()).strip("-")[:20].strip("-") or "job"
    return f"{stem}-{''.join(secrets.choice(_LETTERS) for _ in range(6))}"
