"""Service Fleet: what agents say and are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from protos.convert import to_message
from protos.farm.v1 import fleet_pb2, fleet_pb2_grpc, measurement_pb2
from tracker.domain import Join, Measurement, MeasureRequest, Telemetry
from tracker.domain.errors import FarmError, NotPossible, ProtocolMismatch
from tracker.services.artifacts import ArtifactStore
from tracker.services.board import Acknowledge, Board, Cancel, Order
from tracker.services.fleet import Fleet
from tracker.services.measuring import Measuring
from tracker.wire.exchange import Outbox, exchange
from tracker.wire.values import read

__all__ = ["FleetServicer"]


class FleetServicer(fleet_pb2_grpc.FleetServicer):
    def __init__(self, farm: str, version: str, fleet: Fleet, measuring: Measuring, artifacts: ArtifactStore) -> None:
        self._farm = farm
        self._version = version
        self._fleet = fleet
        self._measuring = measuring
        self._artifacts = artifacts

    async def Connect(self, requests: AsyncIterator[fleet_pb2.AgentMessage], context: Any) -> None:
        first = await anext(aiter(requests), None)
        if first is None:
            return
        if first.WhichOneof("message") != "join":
            await _refuse(context, "the first message was not Join: upgrade the agent")
            return
        outbox: Outbox[Order] = Outbox(_order)
        try:
            board = self._fleet.join(read(Join, first.join), outbox.send)
        except FarmError as e:
            # What hangs on the farm's present state may pass; what the agent is does not change by waiting.
            passes = isinstance(e, NotPossible) and not isinstance(e, ProtocolMismatch)
            await _refuse(context, str(e), 3 * self._fleet.heartbeat_s if passes else 0.0)
            return
        reason = "its stream ended"
        try:
            await context.write(fleet_pb2.TrackerMessage(joined=self._joined(board)))
            self._fleet.ready(board)

            async def handle(message: fleet_pb2.AgentMessage) -> None:
                self._handle(board, message)

            await exchange(requests, context, outbox, handle)
        finally:
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
        )

    def _handle(self, board: Board, message: fleet_pb2.AgentMessage) -> None:
        kind = message.WhichOneof("message")
        telemetry = None
        if kind == "heartbeat":
            # An agent that waits for a result to be stored would take silence for a dead tracker.
            board.send(Acknowledge(()))
        if kind == "measurement":
            self._fleet.heard(board)
            self._measuring.result(board, read(Measurement, message.measurement))
            return
        if kind == "heartbeat" and message.heartbeat.HasField("telemetry"):
            telemetry = read(Telemetry, message.heartbeat.telemetry)
        self._fleet.heard(board, telemetry)
        if kind == "give_back":
            self._measuring.give_back(board, tuple(message.give_back.trial_ids), message.give_back.reason)
        elif kind == "draining":
            self._fleet.drain(board)
        elif kind == "started":
            self._measuring.started(board, message.started.trial_id)

    async def FetchArtifact(self, request: fleet_pb2.ArtifactRequest, context: Any) -> None:
        async for chunk in self._artifacts.get(request.digest):
            await context.write(fleet_pb2.ArtifactChunk(data=chunk))


async def _refuse(context: Any, reason: str, retry_after_s: float = 0.0) -> None:
    refused = fleet_pb2.Refused(reason=reason, retry_after_s=retry_after_s)
    await context.write(fleet_pb2.TrackerMessage(refused=refused))


def _order(order: Order) -> fleet_pb2.TrackerMessage:
    if isinstance(order, MeasureRequest):
        return fleet_pb2.TrackerMessage(measure=to_message(measurement_pb2.MeasureRequest, order))
    if isinstance(order, Cancel):
        return fleet_pb2.TrackerMessage(cancel=fleet_pb2.CancelTrials(trial_ids=order.trial_ids))
    assert isinstance(order, Acknowledge)
    return fleet_pb2.TrackerMessage(acknowledged=fleet_pb2.Acknowledged(trial_ids=order.trial_ids))
