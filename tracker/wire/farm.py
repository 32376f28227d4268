"""Service Farm: which farm this is, and how much of it is there."""

from __future__ import annotations

import time
from typing import Any

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import farm_pb2, farm_pb2_grpc
from tvm_farm.tracker.domain import FarmStatus, JobState
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.jobs import Jobs
from tvm_farm.tracker.services.workers import Workers

__all__ = ["FarmServicer"]


class FarmServicer(farm_pb2_grpc.FarmServicer):
    def __init__(self, farm: str, version: str, fleet: Fleet, jobs: Jobs, workers: Workers) -> None:
        self._farm = farm
        self._version = version
        self._fleet = fleet
        self._jobs = jobs
        self._workers = workers

    async def GetStatus(self, request: farm_pb2.GetStatusRequest, context: Any) -> farm_pb2.Status:
        jobs = await self._jobs.counts()
        status = FarmStatus(
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
        return to_message(farm_pb2.Status, status)
