"""The gRPC side of an agent: one channel, one stream, and artifacts beside it. Plain values in and out."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from tvm_farm.agent.clock import steady_unix_s
from tvm_farm.agent.errors import ArtifactError, LinkLostError
from tvm_farm.agent.events import Event, Heard, LinkDown, LinkUp, Unreadable
from tvm_farm.agent.messages import (
    Acknowledged,
    CancelTrials,
    Draining,
    FromAgent,
    GiveBack,
    Heartbeat,
    Join,
    Joined,
    Refused,
    Started,
)
from tvm_farm.protos.channel import MESSAGE_OPTIONS, ping_options
from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import device_pb2, fleet_pb2, fleet_pb2_grpc, measurement_pb2, runtime_pb2
from tvm_farm.protos.measurement import Measurement, MeasureRequest
from tvm_farm.protos.runtime import RuntimeOffer, RuntimeRequest
from tvm_farm.protos.upgrade import Upgrade

__all__ = ["Link", "TrackerStatus", "ask_runtime", "ask_status"]

log = logging.getLogger(__name__)

_PING_EVERY_S = 10.0
_ANSWER_WITHIN_S = 15.0
#: A download of which nothing came for so long has ended. A piece takes half of it at 10 KB/s.
_SILENT_S = 60.0
#: A measurement beside the stream has as long as such a link takes for it, and _SILENT_S.
_SLOWEST_BYTES_S = 10e3

_CHANNEL_OPTIONS = [
    *MESSAGE_OPTIONS,
    # The session has its own backoff; a shared subchannel would add gRPC's, up to two minutes.
    ("grpc.use_local_subchannel_pool", 1),
    # A farm is a local network: a proxy from the environment cannot reach it.
    ("grpc.enable_http_proxy", 0),
]

#: What is sent together is about this large at most: a message has a limit, and outputs may come near it alone.
_TOGETHER_BYTES = 1 << 20
#: A measurement with more of outputs goes beside the stream: at 100 KB/s this much takes 2 s.
_BESIDE_BYTES = 200 << 10


#: What a call ends with when the tracker or the way to it is gone, not refused by a tracker that is there.
_LOST = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
}

#: Word of a trial that began, and a heartbeat, wait this long for company: most trials are over by then, and both leave
#: with their measurement.
_LINGER_S = 0.5
#: A patient message waits this long, and for so many.
_PATIENCE_S, _COMPANY = 0.03, 4


class Link:
    """At most one stream to a tracker at a time. What happens on it goes to ``deliver`` as events.

    Every ``open`` ends in exactly one LinkDown, unless ``close`` ends it first. ``spawn`` starts a
    task whose failure somebody hears of.
    """

    def __init__(
        self,
        deliver: Callable[[Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        ping_every_s: float = _PING_EVERY_S,
    ) -> None:
        self._deliver = deliver
        self._spawn = spawn
        self._ping_every_s = ping_every_s
        self._channel: grpc.aio.Channel | None = None
        #: For what is large: the answer to a ping would wait behind megabytes, and the channel be taken for dead.
        self._aside: grpc.aio.Channel | None = None
        self._reporting = asyncio.Lock()
        self._device_id = ""
        self._outgoing = _Outgoing()
        self._reading: asyncio.Task[None] | None = None

    async def open(self, addresses: Sequence[str], prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        """Start a stream to the first of ``addresses`` (host:port) that answers, after ``prepare``, which may ask
        and fetch; LinkLostError in it ends this opening. Delivers LinkUp when the stream may be written to:
        the first message says whether anybody is there."""
        await self.close()
        self._channel = open_channel(addresses, self._ping_every_s)
        self._aside = open_channel(addresses, None)
        self._outgoing = _Outgoing()
        self._reading = self._spawn(self._read(self._channel, self._outgoing, prepare))

    def send(self, message: FromAgent, patient: bool = False) -> None:
        """Queue ``message`` on the open stream; without one it is dropped, as the session expects.

        A ``patient`` one waits a moment for others: a message costs the same whatever it holds.
        """
        if isinstance(message, Join):
            self._device_id = message.device_id
        if isinstance(message, Measurement) and _outputs_bytes(message) > _BESIDE_BYTES and self._aside is not None:
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
        """The bytes of an artifact from ``offset`` on, in pieces, each with its place.

        A tracker that is older than offsets begins at 0. Raises ArtifactError.
        """
        if self._aside is None:
            raise LinkLostError(f"artifact {digest[:12]} cannot be fetched: the link to the tracker is down")
        stub = fleet_pb2_grpc.FleetStub(self._aside)
        call = stub.FetchArtifact(fleet_pb2.ArtifactRequest(digest=digest, offset=offset))
        place = 0
        try:
            while (chunk := await asyncio.wait_for(call.read(), _SILENT_S)) is not grpc.aio.EOF:
                place = place or chunk.offset
                yield place, chunk.data
                place += len(chunk.data)
        except asyncio.TimeoutError:
            call.cancel()
            raise LinkLostError(f"artifact {digest[:12]} did not arrive: nothing came for {_SILENT_S:.0f} s") from None
        except (grpc.aio.AioRpcError, grpc.aio.UsageError) as error:
            lost = isinstance(error, grpc.aio.UsageError) or error.code() in _LOST
            kind = LinkLostError if lost else ArtifactError
            raise kind(f"artifact {digest[:12]} did not arrive: {_why(error)}") from error

    async def _report(self, measurement: Measurement, channel: grpc.aio.Channel, outgoing: _Outgoing) -> None:
        """Send it beside the stream, one at a time. If the link breaks, the session says it again over the next."""
        message = fleet_pb2.AgentMessage()
        _added(message, measurement)
        try:
            async with self._reporting:
                message.sent_unix_s = steady_unix_s()
                request = fleet_pb2.ReportRequest(device_id=self._device_id, message=message)
                # No ping tells of a way that is gone without a word; by then the stream may be well.
                patience_s = _SILENT_S + _outputs_bytes(measurement) / _SLOWEST_BYTES_S
                await fleet_pb2_grpc.FleetStub(channel).Report(request, timeout=patience_s)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError) as error:
            if self._aside is not channel:  # the link was closed meanwhile
                return
            if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNIMPLEMENTED:
                outgoing.put(measurement)  # to a tracker that is older
            else:
                self.drop(f"a measurement did not arrive: {_why(error)}")

    async def ask_runtime(self, request: RuntimeRequest) -> RuntimeOffer | None:
        """What the tracker has for this board; None: it is older and has none for any. Raises LinkLostError."""
        if self._channel is None:
            raise LinkLostError("the link to the tracker is down")
        return await _ask_runtime(self._channel, request)

    async def _read(
        self, channel: grpc.aio.Channel, outgoing: _Outgoing, prepare: Callable[[], Awaitable[None]] | None
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
            reason = _why(error)
        except LinkLostError as error:
            reason = str(error)
        except asyncio.CancelledError as cancelled:
            if self._reading is not mine:  # close() wants it so
                raise
            reason = str(cancelled)
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


class _Outgoing:
    """What is to be sent. What gathers while a message is on its way leaves together in the next.

    Started and Heartbeat wait for something else to leave with; the tracker wants Started for trials that take their
    time.
    """

    def __init__(self) -> None:
        self._items: deque[FromAgent | None] = deque()
        self._some = asyncio.Event()
        self._patient = 0  # items that wait for company
        self._patience: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None

    def put(self, item: FromAgent | None, patient: bool = False) -> None:
        """None ends the stream after what was put before."""
        self._items.append(item)
        self._patient += patient
        if isinstance(item, (Started, Heartbeat)):
            if self._linger is None:
                self._linger = asyncio.get_running_loop().call_later(_LINGER_S, self._some.set)
        elif not patient or self._patient >= _COMPANY:
            self._some.set()
        elif self._patient == 1:
            self._patience = asyncio.get_running_loop().call_later(_PATIENCE_S, self._some.set)

    async def messages(self) -> AsyncIterator[fleet_pb2.AgentMessage]:
        while True:
            await self._some.wait()
            message = fleet_pb2.AgentMessage()
            self._patient = 0
            for timer in (self._patience, self._linger):
                if timer is not None:
                    timer.cancel()
            # What is put from now on waits its own time, not the rest of another's.
            self._linger = None
            while self._items and _added(message, self._items[0]):
                self._items.popleft()
            if message.ListFields():
                message.sent_unix_s = steady_unix_s()
                yield message
            elif self._items:  # nothing fits into an empty message but the end
                return
            else:
                self._some.clear()


def _added(message: fleet_pb2.AgentMessage, item: FromAgent | None) -> bool:
    """Put ``item`` into ``message``, unless it belongs into a later one."""
    if item is None or message.HasField("join"):
        return False
    if isinstance(item, Measurement):
        outputs = _outputs_bytes(item)
        if message.measurements and (outputs or message.ByteSize() > _TOGETHER_BYTES):
            return False
        message.measurements.append(to_message(measurement_pb2.Measurement, item))
    elif isinstance(item, Started):
        message.started.append(item.trial_id)
    elif isinstance(item, Draining):
        message.draining = True
    elif isinstance(item, GiveBack):
        message.given_back.append(to_message(fleet_pb2.GiveBack, item))
    elif isinstance(item, Heartbeat):
        if message.HasField("heartbeat"):
            # Each reading tells what happened since the one before.
            return False
        message.heartbeat.SetInParent()
        message.heartbeat.CopyFrom(to_message(fleet_pb2.Heartbeat, item))
    elif isinstance(item, Upgrade):  # how far it is by the last word counts
        message.upgrade.CopyFrom(to_message(device_pb2.Upgrade, item))
    else:
        message.join.CopyFrom(to_message(fleet_pb2.Join, item))
    return True


def _outputs_bytes(measurement: Measurement) -> int:
    return sum(len(output.data) for output in measurement.outputs)


def open_channel(addresses: Sequence[str], ping_every_s: float | None = _PING_EVERY_S) -> grpc.aio.Channel:
    """A channel to one tracker known by one or more host:port. ``ping_every_s`` None: without pings."""
    target = addresses[0] if len(addresses) == 1 else "ipv4:" + ",".join(addresses)
    pings = [("grpc.http2.bdp_probe", 0)] if ping_every_s is None else ping_options(ping_every_s)
    return grpc.aio.insecure_channel(target, options=[*_CHANNEL_OPTIONS, *pings])


def _why(error: grpc.aio.AioRpcError | grpc.aio.UsageError) -> str:
    if not isinstance(error, grpc.aio.AioRpcError):  # the channel was closed a moment ago
        return str(error)
    details = (error.details() or "").rpartition("last error: ")[2].removeprefix("UNKNOWN: ")
    return f"{details} ({error.code().name})" if details else error.code().name


async def ask_runtime(address: str, request: RuntimeRequest) -> RuntimeOffer | None:
    """As Link.ask_runtime, of the tracker at ``address`` (host:port), to which there is no link."""
    async with open_channel([address]) as channel:
        return await _ask_runtime(channel, request)


async def _ask_runtime(channel: grpc.aio.Channel, request: RuntimeRequest) -> RuntimeOffer | None:
    message = to_message(runtime_pb2.RuntimeRequest, request)
    try:
        answer = await fleet_pb2_grpc.FleetStub(channel).GetRuntime(message, timeout=_ANSWER_WITHIN_S)
    except grpc.aio.UsageError as error:
        raise LinkLostError(_why(error)) from error
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return None
        if error.code() in _LOST:
            raise LinkLostError(_why(error)) from error
        return RuntimeOffer(reason=f"the tracker cannot say whether it has TVM's runtime: {_why(error)}")
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

    async with open_channel([address]) as channel:
        try:
            answer = await farm_pb2_grpc.FarmStub(channel).GetStatus(farm_pb2.GetStatusRequest(), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(_why(error)) from error
    return from_message(TrackerStatus, answer)
