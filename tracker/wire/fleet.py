"""Service Fleet: what agents say and are told."""

from __future__ import annotations

import copy
from typing import Any

import grpc.aio

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import fleet_pb2, fleet_pb2_grpc, runtime_pb2
from tvm_farm.tracker.domain import RuntimeRequest, Upgrade
from tvm_farm.tracker.domain.errors import NotPossible, TrackerError, VersionMismatch
from tvm_farm.tracker.measuring.board import Acknowledge, Board
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.measuring import Measuring
from tvm_farm.tracker.services.runtimes import Runtimes
from tvm_farm.tracker.services.upgrades import Upgrades
from tvm_farm.tracker.wire.boards import read_join, read_measurement, read_telemetry
from tvm_farm.tracker.wire.clocks import BoardClock
from tvm_farm.tracker.wire.outboxes import BoardOutbox
from tvm_farm.tracker.wire.two_way import two_way
from tvm_farm.tracker.wire.values import read

__all__ = ["FleetServicer"]


#: A board that is refused for now asks again after so many: another that is there was heard by then.
_AGAIN_HEARTBEATS = 1.5


class FleetServicer(fleet_pb2_grpc.FleetServicer):
    def __init__(
        self,
        farm: str,
        version: str,
        fleet: Fleet,
        measuring: Measuring,
        artifacts: ArtifactStore,
        runtimes: Runtimes,
        upgrades: Upgrades,
    ) -> None:
        self._farm = farm
        self._version = version
        self._fleet = fleet
        self._measuring = measuring
        self._artifacts = artifacts
        self._runtimes = runtimes
        self._upgrades = upgrades
        #: By device id, while its stream is open.
        self._streams: dict[str, tuple[Board, BoardClock]] = {}

    async def Connect(self, requests: Any, context: Any) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:
            return
        if not first.HasField("join"):
            await _refuse(context, "the first message was not Join: upgrade the agent")
            return
        clock = BoardClock()
        clock.place(first)
        outbox = BoardOutbox()
        try:
            board = self._fleet.join(read_join(first.join), outbox.send)
        except TrackerError as e:
            # What depends on the farm's present state may pass; what the agent is does not change by waiting.
            passes = isinstance(e, NotPossible) and not isinstance(e, VersionMismatch)
            await _refuse(context, str(e), _AGAIN_HEARTBEATS * self._fleet.heartbeat_s if passes else 0.0)
            return
        reason = "its stream ended"
        mine = self._streams[board.device.id] = (board, clock)
        try:
            await context.write(fleet_pb2.TrackerMessage(joined=self._joined(board)))
            self._fleet.ready(board)
            await self._upgrades.joined(board)

            async def handle(message: fleet_pb2.AgentMessage) -> None:
                clock.place(message)
                self._handle(board, message)
                if message.HasField("upgrade"):
                    await self._upgrades.told(board, read(Upgrade, message.upgrade))
                if board.draining:
                    outbox.hurry()

            await two_way(context, outbox, handle)
        finally:
            if self._streams.get(board.device.id) is mine:
                del self._streams[board.device.id]
            self._fleet.leave(board, reason)

    def _joined(self, board: Board) -> fleet_pb2.Joined:
        device = board.device
        return fleet_pb2.Joined(
            farm=self._farm,
            tracker_version=self._version,
            heartbeat_s=self._fleet.heartbeat_s,
            device_class=device.device_class,
            target=device.target,
            pools=device.pools,
            warning=self._fleet.warning(board),
        )

    def _handle(self, board: Board, message: fleet_pb2.AgentMessage) -> None:
        telemetry = None
        if message.HasField("heartbeat"):
            # An agent that waits for a result to be stored would take silence for a dead tracker.
            board.send(Acknowledge(()))
            if message.heartbeat.HasField("telemetry"):
                telemetry = read_telemetry(message.heartbeat.telemetry)
        self._fleet.heard(board)
        if telemetry is not None and telemetry.disk_fault:
            # What it gives back for that is not to be sent there once more.
            self._fleet.heard(board, telemetry)
        if message.draining:
            self._fleet.drain(board)
        for given_back in message.given_back:
            self._measuring.give_back(board, tuple(given_back.trial_ids), given_back.reason)
        for trial_id in message.started:
            self._measuring.started(board, trial_id)
        for measurement in message.measurements:
            self._measuring.result(board, read_measurement(measurement))
        if telemetry is not None:
            # Read last: a trial that began, and has some of the memory, may be told in the same message.
            self._fleet.heard(board, telemetry)

    async def Report(self, request: fleet_pb2.ReportRequest, context: Any) -> fleet_pb2.ReportReply:
        # A board that has left meanwhile was not acknowledged, and says it again when it is back.
        if stream := self._streams.get(request.device_id):
            board, clock = stream
            # A copy: whoever knows the id may send this, and the stream's own clock is not to learn from another's.
            copy.copy(clock).place(request.message)
            self._handle(board, fleet_pb2.AgentMessage(measurements=request.message.measurements))
        return fleet_pb2.ReportReply()

    async def GetRuntime(self, request: runtime_pb2.RuntimeRequest, context: Any) -> runtime_pb2.RuntimeOffer:
        return to_message(runtime_pb2.RuntimeOffer, await self._runtimes.offer(read(RuntimeRequest, request)))

    async def FetchArtifact(self, request: fleet_pb2.ArtifactRequest, context: Any) -> None:
        offset = request.offset
        async for chunk in self._artifacts.get(request.digest, offset):
            await context.write(fleet_pb2.ArtifactChunk(data=chunk, offset=offset))
            offset += len(chunk)


async def _refuse(context: Any, reason: str, retry_after_s: float = 0.0) -> None:
    refused = fleet_pb2.Refused(reason=reason, retry_after_s=retry_after_s)
    await context.write(fleet_pb2.TrackerMessage(refused=refused))
