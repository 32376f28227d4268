"""The farm at one moment, as the collector reads it."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_farm.tracker.domain import Device, Job, JobState, Outcome
from tvm_farm.tracker.measuring.histogram import Histogram
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.jobs import Jobs
from tvm_farm.tracker.services.measuring import Measuring
from tvm_farm.tracker.services.recall import Recall
from tvm_farm.tracker.services.store_thread import StoreThread, WriteTimes
from tvm_farm.tracker.services.workers import Workers

__all__ = ["Snapshot", "Snapshots"]


@dataclass(frozen=True)
class Snapshot:
    """``running``: jobs with their tasks; ``jobs``: how many are in each state."""

    devices: list[Device]
    answered: dict[Outcome, int]
    recalled: int
    queued: int
    waited: Histogram
    jobs: dict[JobState, int]
    running: list[Job]
    workers: int
    writes: WriteTimes


class Snapshots:
    """Takes snapshots; in the event loop."""

    def __init__(
        self,
        fleet: Fleet,
        measuring: Measuring,
        recall: Recall,
        jobs: Jobs,
        workers: Workers,
        store: StoreThread,
    ) -> None:
        self._fleet = fleet
        self._measuring = measuring
        self._recall = recall
        self._jobs = jobs
        self._workers = workers
        self._store = store

    async def take(self) -> Snapshot:
        running = [await self._jobs.get(job.id) for job in await self._jobs.list(JobState.RUNNING, 0)]
        counts = await self._jobs.counts()
        waited = self._measuring.waited
        return Snapshot(
            devices=self._fleet.devices(),
            answered=dict(self._measuring.answered),
            recalled=self._recall.recalled,
            queued=self._measuring.queued,
            waited=Histogram(list(waited.counts), waited.total_s),
            jobs=counts,
            running=running,
            workers=self._workers.connected,
            writes=self._store.write_times,
        )
