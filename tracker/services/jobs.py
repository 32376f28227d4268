"""Jobs as people see them: submit, look, watch, cancel."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from tracker.domain import Device, DeviceState, Job, JobKind, JobSpec, JobState, RunnerMode, Workload
from tracker.domain.errors import InvalidRequest, NotFound, NotPossible
from tracker.domain.job import ENGINES, check_priority
from tracker.domain.job_life import WAITING, cancelled
from tracker.domain.target import overridden
from tracker.services.artifacts import ArtifactStore
from tracker.services.fleet import Fleet
from tracker.services.store_thread import StoreThread

__all__ = ["Jobs", "choose_class"]

log = logging.getLogger(__name__)

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
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._store = store
        self._artifacts = artifacts
        self._clock = clock
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self.workers_connected: Callable[[], int] = lambda: 0
        self.on_queued: Callable[[], None] = lambda: None
        self.on_cancelled: Callable[[str], None] = lambda job_id: None

    async def submit(self, spec: JobSpec, request_id: str) -> Job:
        """Keep a job and queue it. The same non-empty ``request_id`` again gives the same job.

        Raises NotFound for an unknown pool, InvalidRequest for a spec that no farm could do, NotPossible when no
        device that is there fits.
        """
        if earlier := await self._store.call(lambda s: s.job_of_request(request_id)):
            return self.seen(earlier)
        self._check(spec)
        pool = self._fleet.pool(spec.pool)
        device, others = choose_class(spec, self._fleet.devices())
        job = Job(
            id=_new_id(spec.model_name),
            spec=replace(spec, model=replace(spec.model, inline=b"")),
            phase=_first_phase(spec.pool, device.device_class, others),
            created_unix_s=self._clock(),
            target=overridden(device.target, spec.target),
            device_class=device.device_class,
        )
        kept = await self._store.call(lambda s: s.add_job(job, request_id))
        await self._store.call(lambda s: s.checkpoint(), insist=True)
        log.info("job %s queued: %s on pool %s, class %s", kept.id, spec.model_name, pool.name, kept.device_class)
        if others:
            log.warning(
                "job %s: pool %s also has %s; only %s is tuned",
                kept.id,
                pool.name,
                ", ".join(others),
                kept.device_class,
            )
        self.on_queued()
        return self.seen(kept)

    def _check(self, spec: JobSpec) -> None:
        if spec.kind is None:
            raise InvalidRequest("the job has no kind")
        if spec.engine not in ENGINES:
            raise InvalidRequest(f"there is no engine '{spec.engine}': this farm has {', '.join(ENGINES)}")
        if spec.model.digest not in self._artifacts:
            raise InvalidRequest(f"the model {spec.model_name} ({spec.model.digest or 'no digest'}) was not uploaded")
        if spec.budget_s < 0:
            raise InvalidRequest(f"the budget must be positive, not {spec.budget_s:g} s")
        check_priority(spec.priority)
        if spec.kind is JobKind.TUNE and not (spec.max_trials or spec.budget_s):
            raise InvalidRequest("a tuning job needs a limit: a number of trials, a time, or both")

    async def get(self, start: str) -> Job:
        """The job with this id, or the only one whose id starts with it. Raises NotFound."""
        if not start:
            raise InvalidRequest("no job id was given")
        ids = await self._store.call(lambda s: s.job_ids(start))
        if len(ids) > 1:
            raise NotFound(f"'{start}' is the start of several jobs: {', '.join(ids)}")
        job = await self._store.call(lambda s: s.job(ids[0])) if ids else None
        if job is None:
            raise NotFound(f"there is no job '{start}'")
        return self.seen(job)

    async def list(self, state: JobState | None, limit: int) -> list[Job]:
        """Newest first, without tasks."""
        return [self.seen(job) for job in await self._store.call(lambda s: s.jobs(state, limit))]

    async def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        kept = await self._store.call(lambda s: s.job_counts())
        return {state: kept.get(state, 0) for state in JobState}

    async def cancel(self, start: str) -> Job:
        """Raises NotFound, or NotPossible for a job that has ended otherwise."""
        job_id = (await self.get(start)).id
        job = await self._store.call(lambda s: s.change_job(job_id, lambda j: cancelled(j, self._clock())))
        if job is None:
            raise NotFound(f"there is no job '{job_id}'")
        log.info("job %s cancelled", job_id)
        self.on_cancelled(job_id)
        self.changed(job_id)
        return self.seen(job)

    async def watch(self, start: str) -> AsyncIterator[Job]:
        """A snapshot now and after changes, at most four a second; the last one is the job's end."""
        job = await self.get(start)
        event = asyncio.Event()
        watchers = self._watchers.setdefault(job.id, set())
        watchers.add(event)
        try:
            while True:
                event.clear()
                current = await self._store.call(lambda s: s.job(job.id))
                assert current is not None
                seen = self.seen(current)
                yield seen
                if seen.state is None or seen.state.final:
                    return
                await asyncio.sleep(_WATCH_S)
                try:
                    await asyncio.wait_for(event.wait(), _WATCH_IDLE_S)
                except asyncio.TimeoutError:
                    continue
        finally:
            watchers.discard(event)
            if not watchers:
                self._watchers.pop(job.id, None)

    def changed(self, job_id: str) -> None:
        """Something about the job is other than before: its watchers look again."""
        for event in self._watchers.get(job_id, ()):
            event.set()

    def seen(self, job: Job) -> Job:
        """``job`` with the devices that work for it now; one that waits in vain says for what."""
        if job.state is JobState.QUEUED and not self.workers_connected():
            return replace(job, phase=job.phase.replace(WAITING, _NO_WORKER, 1))
        if job.state is not JobState.RUNNING:
            return job
        now = self._clock()
        shares = [
            board.utilised(now)
            for board in self._fleet.connected()
            if board.device.device_class == job.device_class
            and job.spec.pool in board.device.pools
            and board.device.open_to(job.spec.user)
        ]
        utilisation = sum(shares) / len(shares) if shares else 0.0
        return replace(job, devices=len(shares), utilisation=utilisation)

    async def delete_pool(self, name: str) -> None:
        """Raises NotPossible while an unfinished job works on the pool."""
        for state in (JobState.QUEUED, JobState.RUNNING):
            for job in await self._store.call(lambda s, state=state: s.jobs(state)):  # type: ignore[misc]
                if job.spec.pool == name:
                    raise NotPossible(f"job {job.id} is {state.value} on the pool '{name}': cancel it first")
        await self._fleet.delete_pool(name)

    async def workload(self, key: str) -> Workload:
        """Raises NotFound."""
        workload = await self._store.call(lambda s: s.workload(key))
        if workload is None:
            raise NotFound(f"there is no workload '{key}'")
        return workload


def choose_class(spec: JobSpec, devices: list[Device]) -> tuple[Device, list[str]]:
    """A device of the class to tune for, and the other classes of the pool that could be tuned.

    The class with most connected devices, full mode before micro. Raises NotPossible, which says for each device of
    the farm why it does not fit.
    """
    fit = [d for d in devices if spec.pool in d.pools and not _obstacle(spec, d)]
    if not fit:
        raise NotPossible(_why_none(spec, devices))
    count = Counter(d.device_class for d in fit)
    best = max(fit, key=lambda d: (d.runner.mode is RunnerMode.FULL, count[d.device_class], d.device_class))
    return best, sorted(set(count) - {best.device_class})


def _obstacle(spec: JobSpec, device: Device) -> str:
    """Why a device of the job's pool takes no work of it now; "" where it does."""
    if device.state in (DeviceState.LOST, None):
        return "lost"
    if device.state is DeviceState.DRAINING:
        return f"draining ({device.drain.reason})" if device.drain and device.drain.reason else "draining"
    return "" if device.open_to(spec.user) else str(device.lease)


def _why_none(spec: JobSpec, devices: list[Device]) -> str:
    pool = spec.pool
    if not devices:
        return f"the pool '{pool}' has no device: none has joined this farm; start one with 'agent start'"
    reasons = []
    for device in devices[:8]:
        if pool not in device.pools:
            there = f"in {', '.join(device.pools)}" if device.pools else "in no pool"
            reasons.append(f"{device.name} is {there}")
        else:
            reasons.append(f"{device.name} is {_obstacle(spec, device)}")
    more = f", and {len(devices) - 8} more" if len(devices) > 8 else ""
    return f"no device of the pool '{pool}' can take work: {'; '.join(reasons)}{more}"


def _first_phase(pool: str, device_class: str, others: list[str]) -> str:
    if not others:
        return WAITING
    return f"{WAITING}; tunes {device_class} alone of pool {pool}, which also has {', '.join(others)}"


def _new_id(model_name: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", model_name.lower()).strip("-")[:20].strip("-") or "job"
    return f"{stem}-{''.join(secrets.choice(_LETTERS) for _ in range(6))}"
