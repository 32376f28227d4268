"""A client that keeps a farm busy with recorded trials and checks that each came back once and is in the store once."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio

from tvm_farm.protos.channel import MESSAGE_OPTIONS
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.encoded import field_of
from tvm_farm.protos.farm.v1 import (
    artifacts_pb2,
    artifacts_pb2_grpc,
    job_pb2,
    jobs_pb2,
    jobs_pb2_grpc,
    measurement_pb2,
    measuring_pb2,
    record_pb2,
    work_pb2,
    work_pb2_grpc,
)

__all__ = ["Answered", "TrialLoad", "check_store", "trial_load"]

_TASKS = 30
_LIBRARY = os.urandom(16 << 10)
_TRACE_CHARS = 4000
_TOGETHER = 64
_MEASURE = f"/{measuring_pb2.DESCRIPTOR.services_by_name['Measuring'].full_name}/Measure"


@dataclass(frozen=True)
class Answered:
    """One trial: unix seconds of this host's one clock, and the device that ran it."""

    submitted_s: float
    answered_s: float
    started_s: float
    finished_s: float
    device: str


class TrialLoad:
    """One Measure stream of a tuning job. Each trial has a library of 16 KiB and its task's trace of 4 kB, and is
    recorded. What the trials of a task have in common is encoded once: the load is not to cost what it measures.

    ``kernel_s``: what a synthetic board is to spend on it, as ``min_repeat_ms``. ``answers`` by trial_id.
    """

    def __init__(self, call: Any, job_id: str) -> None:
        self._call = call
        self._job_id = job_id
        self._moved = asyncio.Event()
        self._submitted: dict[str, float] = {}
        self.answers: dict[str, Answered] = {}
        self.slots = 0
        self._turns = itertools.cycle([self._task(task) for task in range(_TASKS)])

    @property
    def outstanding(self) -> int:
        return len(self._submitted) - len(self.answers)

    async def submit(self, count: int, kernel_s: float) -> None:
        """Ask for so many more, in as few messages as they fill."""
        while count > 0:
            some, now = min(count, _TOGETHER), time.time()
            ids = [f"{self._job_id}/{len(self._submitted) + n}" for n in range(some)]
            self._submitted.update(dict.fromkeys(ids, now))
            await self._call.write(b"".join(self._trial(trial_id, round(1e3 * kernel_s), now) for trial_id in ids))
            count -= some

    def _trial(self, trial_id: str, kernel_ms: int, now: float) -> bytes:
        """As a field of MeasureCall: what its task's trials have in common, then what is its own."""
        own = measuring_pb2.Trial(
            request=measurement_pb2.MeasureRequest(
                trial_id=trial_id, plan=measurement_pb2.TimingPlan(min_repeat_ms=kernel_ms)
            ),
            context=measuring_pb2.RecordContext(proposed_s=now, built_s=now),
        )
        task = next(self._turns)
        return b"".join(field_of(measuring_pb2.MeasureCall.TRIALS_FIELD_NUMBER, task + own.SerializeToString()))

    def _task(self, task: int) -> bytes:
        """What the trials of a task have in common."""
        request = measurement_pb2.MeasureRequest(
            program=measurement_pb2.Program(
                kind=measurement_pb2.PROGRAM_KIND_KERNEL,
                library=measurement_pb2.Artifact(
                    digest=hashlib.sha256(_LIBRARY).hexdigest(), size=len(_LIBRARY), inline=_LIBRARY
                ),
                entry="main",
                args=[measurement_pb2.Argument(shape=[512, 512], dtype="float32", fill_seed=n) for n in range(3)],
            ),
            plan=measurement_pb2.TimingPlan(number=1, repeat=1, repeats_to_cooldown=1),
            limits=measurement_pb2.Limits(run_timeout_s=10),
        )
        context = measuring_pb2.RecordContext(
            task_id=f"{self._job_id}/{task}",
            workload=f"workload-{task}",
            workload_name="matmul",
            target='{"kind": "llvm"}',
            engine="ansor",
            trace="[" + "0" * (_TRACE_CHARS - 2) + "]",
            versions={"tvm": "0.27.0"},
        )
        return measuring_pb2.Trial(request=request, context=context).SerializeToString()

    async def keep(self, outstanding: int, kernel_s: float, until_s: float) -> None:
        """Hold so many unanswered until ``until_s`` (time.monotonic)."""
        while time.monotonic() < until_s:
            await self.submit(outstanding - self.outstanding, kernel_s)
            self._moved.clear()
            await asyncio.wait_for(self._moved.wait(), 30)

    async def pace(self, rate: float, kernel_s: float, until_s: float) -> None:
        """Submit ``rate`` a second, every 5 ms what is due, until ``until_s`` (time.monotonic)."""
        begun, first = time.monotonic(), len(self._submitted)
        while (now := time.monotonic()) < until_s:
            await self.submit(int(rate * (now - begun)) - (len(self._submitted) - first), kernel_s)
            await asyncio.sleep(0.005)

    async def settle(self, within_s: float = 60.0) -> None:
        """Until all are answered. Raises TimeoutError."""
        deadline = time.monotonic() + within_s
        while self.outstanding:
            self._moved.clear()
            await asyncio.wait_for(self._moved.wait(), max(0.0, deadline - time.monotonic()))

    async def read(self) -> None:
        """Take answers until the stream ends. Raises RuntimeError for one that should not be."""
        while (reply := await self._call.read()) is not grpc.aio.EOF:
            now = time.time()
            if reply.HasField("capacity"):
                self.slots = reply.capacity.slots
            for measurement in reply.measurements:
                self._take(measurement, now)
            self._moved.set()

    def _take(self, measurement: measurement_pb2.Measurement, now: float) -> None:
        trial_id = measurement.trial_id
        if trial_id in self.answers or trial_id not in self._submitted:
            raise RuntimeError(f"trial {trial_id} was answered twice, or never asked for")
        if measurement.outcome != measurement_pb2.OUTCOME_OK:
            raise RuntimeError(f"trial {trial_id}: outcome {measurement.outcome}: {measurement.detail}")
        steps = measurement.timeline
        self.answers[trial_id] = Answered(
            self._submitted[trial_id], now, steps.started_s, steps.finished_s, measurement.device_id
        )


@asynccontextmanager
async def trial_load(address: str, pool: str) -> AsyncIterator[TrialLoad]:
    """A job on ``pool`` whose worker is this process, and its stream. Fails when the stream does.

    Python looks for no cycles meanwhile: among a hundred thousand answers it would take longer than the tracker.
    """
    gc.disable()
    try:
        async with _trial_load(address, pool) as load:
            yield load
    finally:
        gc.enable()


@asynccontextmanager
async def _trial_load(address: str, pool: str) -> AsyncIterator[TrialLoad]:
    async with grpc.aio.insecure_channel(address, options=MESSAGE_OPTIONS) as channel:
        work, job_id = await _job(channel, pool)
        measure: Any = channel.stream_stream(_MEASURE, response_deserializer=measuring_pb2.MeasureReply.FromString)()
        opening = measuring_pb2.OpenMeasure(client="load", job_id=job_id, pool=pool)
        await measure.write(measuring_pb2.MeasureCall(open=opening).SerializeToString())
        load = TrialLoad(measure, job_id)
        reading = asyncio.ensure_future(load.read())
        alive = asyncio.ensure_future(_stay_alive(work))
        failing = asyncio.current_task()
        assert failing is not None
        reading.add_done_callback(lambda done: done.cancelled() or not done.exception() or failing.cancel())
        try:
            yield load
        except asyncio.CancelledError:
            if reading.done():
                reading.result()
            raise
        finally:
            alive.cancel()
            reading.cancel()
            await asyncio.gather(alive, reading, return_exceptions=True)


async def _stay_alive(work: Any) -> None:
    while True:
        await asyncio.sleep(2.0)
        await work.write(work_pb2.WorkerMessage(alive=work_pb2.WorkerAlive()))


async def _job(channel: grpc.aio.Channel, pool: str) -> tuple[Any, str]:
    upload = artifacts_pb2_grpc.ArtifactsStub(channel).PutArtifact()
    await upload.write(artifacts_pb2.ArtifactUpload(data=b"a model"))
    await upload.done_writing()
    spec = job_pb2.JobSpec(
        kind=job_pb2.JOB_KIND_TUNE, model=await upload, model_name="load", pool=pool, engine="ansor", max_trials=10**9
    )
    work = work_pb2_grpc.WorkStub(channel).Work()
    hello = work_pb2.WorkerHello(worker_id="load", host="here", pid=os.getpid(), protocol_version=PROTOCOL_VERSION)
    await work.write(work_pb2.WorkerMessage(hello=hello))
    await jobs_pb2_grpc.JobsStub(channel).SubmitJob(jobs_pb2.SubmitJobRequest(spec=spec))
    job_id = (await work.read()).start.id
    tasks = [
        work_pb2.TaskPlan(
            id=f"{job_id}/{n}",
            name=f"task{n}",
            weight=1,
            workload=record_pb2.Workload(key=f"workload-{n}", name="matmul", module="{}", flops=1e9),
        )
        for n in range(_TASKS)
    ]
    progress = work_pb2.JobProgress(job_id=job_id, phase="tuning", tasks=tasks)
    await work.write(work_pb2.WorkerMessage(progress=progress))
    return work, job_id


def check_store(state: Path, answers: int) -> None:
    """Raises RuntimeError unless the store of a stopped tracker holds ``answers`` records, each trial once."""
    with sqlite3.connect(state / "tracker.db") as db:
        stored, trials = db.execute("SELECT count(*), count(DISTINCT trial_id) FROM records").fetchone()
    if not stored == trials == answers:
        raise RuntimeError(f"{answers} trials were answered; the store has {stored} records of {trials} trials")
