"""Workers that come, go and come back while the store is asked. The store is real, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.records import make_job
from tests.support.waiting import one_turn
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.tracker.domain import CancelJob, Job, JobState, OpenMeasure, StartJob, WorkerHello, WorkOrder
from tvm_farm.tracker.scheduling.job_queue import TURNS
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.jobs import Jobs
from tvm_farm.tracker.services.measuring import Measuring
from tvm_farm.tracker.services.runtimes import Runtimes
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.services.workers import Workers, WorkerSession
from tvm_farm.tracker.store import open_store


class Farm:
    def __init__(self, state: Path) -> None:
        self.store = StoreThread(open_store("memory:"), asyncio.get_running_loop())
        artifacts = ArtifactStore(state)
        fleet = Fleet(self.store)
        self.jobs = Jobs(fleet, self.store, artifacts, Runtimes(artifacts, state / "runtimes.jsonl"))
        self._change = asyncio.Event()
        self.jobs.changed = self._changed
        self.measuring = Measuring(fleet, self.store, artifacts, "1", self.jobs.changed)
        self.workers = Workers(self.jobs, self.measuring, self.store, artifacts, grace_s=0.05)
        self.sent: dict[str, list[WorkOrder | None]] = {}

    def _changed(self, job_id: str) -> None:
        Jobs.changed(self.jobs, job_id)
        self._change.set()

    async def add(self, *job_ids: str) -> None:
        for job_id in job_ids:
            await self.store.run(self.store.store.jobs.add, make_job(job_id), "")

    async def claim(self, worker_id: str) -> None:
        await self.store.run(self.store.store.jobs.claim, worker_id, 1.0, TURNS)

    async def job(self, job_id: str) -> Job:
        job = await self.store.run(self.store.store.jobs.get, job_id)
        assert job is not None
        return job

    def connect(self, worker_id: str, running_job: str = "") -> asyncio.Future[WorkerSession]:
        hello = WorkerHello(worker_id, "h", 1, running_job=running_job, protocol_version=PROTOCOL_VERSION)
        return asyncio.ensure_future(self.workers.connect(hello, self.sent.setdefault(worker_id, []).append))

    async def until_state(self, job_id: str, state: JobState) -> Job:
        while True:
            self._change.clear()
            if (job := await self.job(job_id)).state is state:
                return job
            await asyncio.wait_for(self._change.wait(), 10)

    async def quiet(self) -> None:
        """Nothing is under way any more."""
        while tasks := list(self.workers._tasks):
            await asyncio.gather(*tasks)


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    farm = Farm(tmp_path)
    yield farm
    await farm.workers.stop()
    await farm.store.stop()


async def test_a_busy_worker_that_comes_back_gets_no_second_job(farm: Farm) -> None:
    await farm.add("a")
    await farm.claim("w1")
    await farm.workers.load()
    await farm.add("b")
    connecting = farm.connect("w1", "a")
    await one_turn()
    # Someone submits at this moment.
    farm.workers.assign_soon()
    session = await connecting
    await farm.quiet()
    assert session.job_id == "a"
    assert farm.sent["w1"] == []
    assert ((await farm.job("a")).state, (await farm.job("b")).state) == (JobState.RUNNING, JobState.QUEUED)
    await farm.connect("w2")
    await farm.quiet()
    assert [order.job.id for order in farm.sent["w2"] if isinstance(order, StartJob)] == ["b"]


async def test_a_stream_that_ends_while_it_connects_leaves_no_session(farm: Farm) -> None:
    await farm.add("a")
    connecting = farm.connect("w1", "a")
    await one_turn()
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert farm.workers.connected == 0
    # The store had given it the job: that is taken back and goes to the next.
    await farm.quiet()
    await farm.until_state("a", JobState.QUEUED)
    await farm.connect("w2")
    assert (await farm.until_state("a", JobState.RUNNING)).worker_id == "w2"


@pytest.mark.parametrize("lost_first", [True, False])
async def test_a_worker_that_comes_back_as_its_job_is_lost_goes_on_measuring(farm: Farm, lost_first: bool) -> None:
    await farm.add("a")
    await farm.claim("w1")
    stream = await farm.measuring.open(OpenMeasure("w1", "a", "x86_64"), lambda answer: None)
    connecting = None if lost_first else farm.connect("w1", "a")
    await one_turn()
    losing = asyncio.ensure_future(farm.workers._lose("a", "w1"))
    await one_turn()
    session = await (connecting or farm.connect("w1", "a"))
    await losing
    await farm.quiet()
    assert session.job_id == "a"
    assert not stream.cancelled
    assert CancelJob("a") not in farm.sent["w1"]
    job = await farm.job("a")
    assert (job.state, job.worker_id) == (JobState.RUNNING, "w1")


async def test_a_job_that_is_anothers_by_now_is_not_lost(farm: Farm) -> None:
    await farm.add("a")
    await farm.claim("w2")
    await farm.workers._lose("a", "w1")
    job = await farm.job("a")
    assert (job.state, job.worker_id) == (JobState.RUNNING, "w2")


async def test_after_a_loss_a_new_stream_of_the_job_measures(farm: Farm) -> None:
    await farm.add("a")
    await farm.claim("w1")
    old = await farm.measuring.open(OpenMeasure("w1", "a", "x86_64"), lambda answer: None)
    await farm.workers._lose("a", "w1")
    assert old.cancelled
    await farm.connect("w1", "a")
    new = await farm.measuring.open(OpenMeasure("w1", "a", "x86_64"), lambda answer: None)
    assert not new.cancelled
