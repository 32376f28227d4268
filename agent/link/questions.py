"""Single questions to a tracker, beside any stream."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
import grpc.aio

from tvm_farm.agent.errors import LinkLostError
from tvm_farm.agent.link.channel import is_lost, open_channel, why
from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import fleet_pb2_grpc, runtime_pb2
from tvm_farm.protos.runtime import RuntimeOffer, RuntimeRequest

__all__ = ["TrackerStatus", "ask_runtime", "ask_runtime_by", "ask_status"]

_ANSWER_WITHIN_S = 15.0


async def ask_runtime(address: str, request: RuntimeRequest) -> RuntimeOffer | None:
    """As Link.ask_runtime, of the tracker at ``address`` (host:port), to which there is no link."""
    async with open_channel(address) as channel:
        return await ask_runtime_by(channel, request)


async def ask_runtime_by(channel: grpc.aio.Channel, request: RuntimeRequest) -> RuntimeOffer | None:
    """What the tracker has for a board; None: the tracker is older and has none for any. Raises LinkLostError."""
    message = to_message(runtime_pb2.RuntimeRequest, request)
    try:
        answer = await fleet_pb2_grpc.FleetStub(channel).GetRuntime(message, timeout=_ANSWER_WITHIN_S)
    except (grpc.aio.AioRpcError, grpc.aio.UsageError) as error:
        if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return None
        if is_lost(error):
            raise LinkLostError(why(error)) from error
        return RuntimeOffer(reason=f"the tracker cannot say whether it has TVM's runtime: {why(error)}")
    return from_message(RuntimeOffer, answer)


@dataclass(frozen=True)
class TrackerStatus:
    """What a tracker says of itself."""

    farm: str
    version: str
    protocol_version: int


async def ask_status(address: str, timeout_s: float = 5.0) -> TrackerStatus:
    """Ask the tracker at ``address`` (host:port) who it is. Raises ConnectionError with the cause."""
    from tvm_farm.protos.farm.v1 import farm_pb2, farm_pb2_grpc  # what only `agent doctor` needs

    async with open_channel(address) as channel:
        try:
            answer = await farm_pb2_grpc.FarmStub(channel).GetStatus(farm_pb2.GetStatusRequest(), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(why(error)) from error
    return from_message(TrackerStatus, answer)
