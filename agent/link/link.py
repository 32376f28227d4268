"""The stream of an agent to its tracker, and what goes beside it: artifacts, and measurements that are large."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

import grpc
import grpc.aio

from tvm_farm.agent.clock import steady_unix_s
from tvm_farm.agent.errors import ArtifactError, LinkLostError
from tvm_farm.agent.link.channel import PING_EVERY_S, is_lost, open_channel, why
from tvm_farm.agent.link.outgoing import Outgoing, add_to, outputs_bytes
from tvm_farm.agent.link.questions import ask_runtime_by
from tvm_farm.agent.session.events import Event, Heard, LinkDown, LinkUp, Unreadable
from tvm_farm.agent.session.messages import Acknowledged, CancelTrials, FromAgent, Joined, Refused
from tvm_farm.protos.convert import from_message
from tvm_farm.protos.farm.v1 import fleet_pb2, fleet_pb2_grpc, measurement_pb2
from tvm_farm.protos.join import Join
from tvm_farm.protos.measurement import Measurement, MeasureRequest
from tvm_farm.protos.reaching import first_reached
from tvm_farm.protos.runtime import RuntimeOffer, RuntimeRequest
from tvm_farm.protos.upgrade import Upgrade

__all__ = ["Link"]

log = logging.getLogger(__name__)

#: A download of which nothing came for so long has ended. A piece takes half of that time at 10 KB/s.
_SILENT_S = 60.0
#: The slowest link that a measurement beside the stream is given the time for, on top of _SILENT_S.
_SLOWEST_BYTES_S = 10e3
#: The size of outputs above which a measurement goes beside the stream: at 100 KB/s they take 2 s.
_BESIDE_BYTES = 200 << 10


class Link:
    """At most one stream to a tracker at a time. What happens on the stream goes to ``deliver`` as events.

    Every ``open`` ends in exactly one LinkDown, unless ``close`` comes first. ``spawn`` starts a
    task whose failure somebody hears of.
    """

    def __init__(
        self,
        deliver: Callable[[Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        ping_every_s: float = PING_EVERY_S,
    ) -> None:
        self._deliver = deliver
        self._spawn = spawn
        self._ping_every_s = ping_every_s
        self._channel: grpc.aio.Channel | None = None
        #: The channel for what is large. Behind megabytes the answer to a ping would wait, and the channel of the
        #: stream would be taken for dead.
        self._aside: grpc.aio.Channel | None = None
        self._reporting = asyncio.Lock()
        self._device_id = ""
        self._outgoing = Outgoing()
        self._reading: asyncio.Task[None] | None = None

    async def open(self, addresses: Sequence[str], prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        """Start a stream to the tracker at the first of its ``addresses`` (host:port) that takes a connection.

        ``prepare`` runs before and may ask and fetch; a LinkLostError of it ends this opening. LinkUp is delivered when
        the stream may be written to: the first message says whether anybody is there.
        """
        await self.close()
        address = (await first_reached(addresses) if len(addresses) > 1 else None) or addresses[0]
        self._channel = open_channel(address, self._ping_every_s)
        self._aside = open_channel(address, None)
        self._outgoing = Outgoing()
        self._reading = self._spawn(self._read(self._channel, self._outgoing, prepare))

    def send(self, message: FromAgent, patient: bool = False) -> None:
        """Queue ``message`` on the open stream; without a stream the message is dropped, as the session expects.

        A ``patient`` message waits a moment for others: what leaves costs the same whatever it holds.
        """
        if isinstance(message, Join):
            self._device_id = message.device_id
        if isinstance(message, Measurement) and outputs_bytes(message) > _BESIDE_BYTES and self._aside is not None:
            self._spawn(self._report(message, self._aside, self._outgoing))
            return
        self._outgoing.put(message, patient)

    def drop(self, reason: str) -> None:
        """End the stream now; LinkDown with ``reason`` is delivered."""
        if self._reading is not None:
            self._reading.cancel(reason)

    async def close(self, flush_s: float = 0.0) -> None:
        """End the stream without a LinkDown, after what was sent is on its way (``flush_s`` at most)."""
        reading, self._reading = self._reading, None
        channels, self._channel, self._aside = [self._channel, self._aside], None, None
        if reading is not None:
            self._outgoing.put(None)
            if flush_s:
                await asyncio.wait([reading], timeout=flush_s)
            reading.cancel()
            await asyncio.wait([reading])
        for channel in channels:
            if channel is not None:
                await channel.close()

    async def fetch(self, digest: str, offset: int) -> AsyncIterator[tuple[int, bytes]]:
        """The bytes of an artifact from ``offset`` on, in pieces, each with its position.

        A tracker that is older than offsets begins at 0. Raises ArtifactError.
        """
        if self._aside is None:
            raise LinkLostError(f"artifact {digest[:12]} cannot be fetched: the link to the tracker is down")
        stub = fleet_pb2_grpc.FleetStub(self._aside)
        call = stub.FetchArtifact(fleet_pb2.ArtifactRequest(digest=digest, offset=offset))
        position = 0
        try:
            while (chunk := await asyncio.wait_for(call.read(), _SILENT_S)) is not grpc.aio.EOF:
                position = position or chunk.offset
                yield position, chunk.data
                position += len(chunk.data)
        except asyncio.TimeoutError:
            call.cancel()
            raise LinkLostError(f"artifact {digest[:12]} did not arrive: nothing came for {_SILENT_S:.0f} s") from None
        except (grpc.aio.AioRpcError, grpc.aio.UsageError) as error:
            kind = LinkLostError if is_lost(error) else ArtifactError
            raise kind(f"artifact {digest[:12]} did not arrive: {why(error)}") from error

    async def _report(self, measurement: Measurement, channel: grpc.aio.Channel, outgoing: Outgoing) -> None:
        """Send a measurement beside the stream, after those before it. The session sends it again over the next link
        where this one breaks."""
        message = fleet_pb2.AgentMessage()
        add_to(message, measurement)
        try:
            async with self._reporting:
                message.sent_unix_s = steady_unix_s()
                request = fleet_pb2.ReportRequest(device_id=self._device_id, message=message)
                # No ping tells of a way that is gone without a word; the stream may be well by then.
                within_s = _SILENT_S + outputs_bytes(measurement) / _SLOWEST_BYTES_S
                await fleet_pb2_grpc.FleetStub(channel).Report(request, timeout=within_s)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError) as error:
            if self._aside is not channel:  # the link was closed meanwhile
                return
            if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNIMPLEMENTED:
                outgoing.put(measurement)  # an older tracker takes it on the stream alone
            else:
                self.drop(f"a measurement did not arrive: {why(error)}")

    async def ask_runtime(self, request: RuntimeRequest) -> RuntimeOffer | None:
        """What the tracker has for this board; None: it is older and has none for any. Raises LinkLostError.

        A tracker that is there and cannot answer gives an offer with the reason.
        """
        if self._channel is None:
            raise LinkLostError("the link to the tracker is down")
        return await ask_runtime_by(self._channel, request)

    async def _read(
        self, channel: grpc.aio.Channel, outgoing: Outgoing, prepare: Callable[[], Awaitable[None]] | None
    ) -> None:
        mine = asyncio.current_task()
        try:
            if prepare is not None:
                await prepare()
            self._deliver(LinkUp())
            call = fleet_pb2_grpc.FleetStub(channel).Connect(outgoing.messages())
            async for message in call:
                self._receive(message)
            reason = "the tracker ended the stream"
        except grpc.aio.AioRpcError as error:
            reason = why(error)
        except LinkLostError as error:
            reason = str(error)
        except asyncio.CancelledError as cancelled:
            if self._reading is not mine:  # close() wants it so
                raise
            reason = str(cancelled)
        finally:
            outgoing.end()
        if self._reading is mine:
            aside, self._aside = self._aside, None
            self._reading = self._channel = None
            await channel.close()
            if aside is not None:
                await aside.close()
            self._deliver(LinkDown(reason, jitter=random.random()))

    def _receive(self, message: fleet_pb2.TrackerMessage) -> None:
        if message.HasField("joined"):
            self._deliver(Heard(from_message(Joined, message.joined)))
        if message.HasField("refused"):
            self._deliver(Heard(from_message(Refused, message.refused)))
        if message.acknowledged or message.heard:
            self._deliver(Heard(Acknowledged(tuple(message.acknowledged))))
        if message.cancelled:
            self._deliver(Heard(CancelTrials(tuple(message.cancelled))))
        for request in message.measure:
            self._deliver(_asked(request))
        if message.HasField("upgrade"):
            self._deliver(Heard(from_message(Upgrade, message.upgrade)))
        if not message.ListFields():
            log.warning("the tracker sent a message that this agent does not know; is the agent older?")


def _asked(request: measurement_pb2.MeasureRequest) -> Event:
    try:
        return Heard(from_message(MeasureRequest, request))
    except ValueError as error:
        return Unreadable(request.trial_id, f"this agent cannot read the trial: {error}")
