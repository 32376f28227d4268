"""A tracker reduced to its side of the Fleet stream: real gRPC on a real port, told by a test what to say."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any

import grpc.aio

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import farm_pb2, farm_pb2_grpc, fleet_pb2, fleet_pb2_grpc, measurement_pb2, runtime_pb2
from tvm_farm.protos.measurement import (
    Argument,
    Artifact,
    Limits,
    Measurement,
    MeasureRequest,
    Program,
    ProgramKind,
    TimingPlan,
)
from tvm_farm.protos.runtime import Runtime, RuntimeLibrary, RuntimeOffer, RuntimeRequest

__all__ = ["StandInTracker", "make_request"]


class StandInTracker(fleet_pb2_grpc.FleetServicer, farm_pb2_grpc.FarmServicer):
    """One Fleet server for one agent. ``async with`` starts and stops it; ``stop`` and ``start`` do so in between.

    ``acknowledge`` False withholds Acknowledged; ``refusal`` set answers every join with it.
    ``answering`` False swallows joins: a tracker that hangs.
    """

    def __init__(self, heartbeat_s: float = 0.2) -> None:
        self.port = 0
        self.heartbeat_s = heartbeat_s
        self.acknowledge = True
        self.answering = True
        self.refusal: fleet_pb2.Refused | None = None
        self.protocol_version = PROTOCOL_VERSION
        self.artifacts: dict[str, bytes] = {}
        self.fetched: list[str] = []
        #: What boards are offered; None: a tracker that is older than that.
        self.offer: RuntimeOffer | None = None
        self.asked_runtime: list[RuntimeRequest] = []
        #: Artifacts of which only the first piece comes.
        self.broken_off: set[str] = set()
        #: Cleared: an artifact asked for does not come.
        self.sending = asyncio.Event()
        self.sending.set()
        #: Everything heard, over all streams, in order.
        self.heard: list[fleet_pb2.AgentMessage] = []
        self.streams_ended = 0
        self._server: grpc.aio.Server | None = None
        self._changed = asyncio.Condition()
        self._outgoing: asyncio.Queue[fleet_pb2.TrackerMessage] | None = None
        self.takes_reports = True
        #: Trial ids of what came beside the stream.
        self.reported: list[str] = []

    async def __aenter__(self) -> StandInTracker:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the port of the time before if there was one."""
        self._server = grpc.aio.server(
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)]
        )
        fleet_pb2_grpc.add_FleetServicer_to_server(self, self._server)
        farm_pb2_grpc.add_FarmServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Break every stream at once, as a killed tracker does."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    # --- what a test says -----------------------------------------------------------------------

    def say(self, **message: Any) -> None:
        """Send a TrackerMessage on the open stream: ``say(cancelled=["t1"])``."""
        assert self._outgoing is not None, "no agent has joined"
        self._outgoing.put_nowait(fleet_pb2.TrackerMessage(**message))

    def measure(self, request: MeasureRequest) -> None:
        self.say(measure=[to_message(measurement_pb2.MeasureRequest, request)])

    # --- what a test waits for ------------------------------------------------------------------

    async def until(self, condition: Callable[[], Any], within_s: float = 20.0) -> Any:
        """Wait until ``condition()`` is true after something was heard; its value. Fails with what was heard."""

        async def wait() -> Any:
            async with self._changed:
                while not (value := condition()):
                    await self._changed.wait()
                return value

        try:
            return await asyncio.wait_for(wait(), within_s)
        except asyncio.TimeoutError:
            kinds = [[field.name for field, _ in message.ListFields()] for message in self.heard]
            raise AssertionError(f"not within {within_s} s; heard: {kinds}") from None

    async def joined(self, times: int = 1) -> fleet_pb2.Join:
        """The latest Join, when there were ``times`` of them."""
        joins: list[fleet_pb2.Join] = await self.until(lambda: len(j := self.all("join")) >= times and j)
        return joins[-1]

    async def measurement(self, trial_id: str) -> Measurement:
        await self.until(lambda: trial_id in self.measured())
        return from_message(Measurement, next(m for m in self.all("measurements") if m.trial_id == trial_id))

    def measured(self) -> list[str]:
        """trial_ids of every measurement heard, repeats included."""
        return [message.trial_id for message in self.all("measurements")]

    def started(self) -> list[str]:
        return self.all("started")

    def given_back(self) -> dict[str, str]:
        """trial_id -> reason."""
        return {trial: message.reason for message in self.all("given_back") for trial in message.trial_ids}

    def all(self, kind: str) -> list[Any]:
        """Everything of ``kind``, a field of AgentMessage, heard so far."""
        found: list[Any] = []
        for message in self.heard:
            for field, value in message.ListFields():
                if field.name == kind:
                    found += value if field.is_repeated else [value]
        return found

    # --- the services ---------------------------------------------------------------------------

    async def Connect(self, requests: Any, context: Any) -> AsyncIterator[fleet_pb2.TrackerMessage]:
        outgoing: asyncio.Queue[fleet_pb2.TrackerMessage | None] = asyncio.Queue()
        reading = asyncio.create_task(self._hear(requests, outgoing))
        try:
            while (message := await outgoing.get()) is not None:
                yield message
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            self.streams_ended += 1
            async with self._changed:
                self._changed.notify_all()

    async def _hear(self, requests: Any, outgoing: asyncio.Queue[Any]) -> None:
        async for message in requests:
            self.heard.append(message)
            if message.HasField("join") and self.answering:
                self._outgoing = outgoing
                outgoing.put_nowait(self._answer_to_join())
            elif message.measurements and self.acknowledge:
                done = [measurement.trial_id for measurement in message.measurements]
                outgoing.put_nowait(fleet_pb2.TrackerMessage(acknowledged=done))
            async with self._changed:
                self._changed.notify_all()
        outgoing.put_nowait(None)

    def _answer_to_join(self) -> fleet_pb2.TrackerMessage:
        if self.refusal is not None:
            return fleet_pb2.TrackerMessage(refused=self.refusal)
        return fleet_pb2.TrackerMessage(
            joined=fleet_pb2.Joined(farm="stand-in", heartbeat_s=self.heartbeat_s, pools=["x86_64"], target="llvm")
        )

    async def FetchArtifact(self, request: Any, context: Any) -> AsyncIterator[fleet_pb2.ArtifactChunk]:
        self.fetched.append(request.digest)
        async with self._changed:
            self._changed.notify_all()
        await self.sending.wait()
        data = self.artifacts.get(request.digest)
        if data is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no artifact {request.digest[:12]}")
            return
        for start in range(request.offset, len(data), 64 << 10):
            yield fleet_pb2.ArtifactChunk(data=data[start : start + (64 << 10)], offset=start)
            if request.digest in self.broken_off:
                await asyncio.Event().wait()

    async def Report(self, request: Any, context: Any) -> fleet_pb2.ReportReply:
        if not self.takes_reports:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        self.reported += [measurement.trial_id for measurement in request.message.measurements]
        async with self._changed:
            self._changed.notify_all()
        return fleet_pb2.ReportReply()

    async def GetRuntime(self, request: Any, context: Any) -> runtime_pb2.RuntimeOffer:
        self.asked_runtime.append(from_message(RuntimeRequest, request))
        if self.offer is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        return to_message(runtime_pb2.RuntimeOffer, self.offer)

    async def GetStatus(self, request: Any, context: Any) -> farm_pb2.Status:
        return farm_pb2.Status(farm="stand-in", version="0.1.0", protocol_version=self.protocol_version)

    def offer_runtime(self, files: Mapping[str, bytes], *, arch: str = "x86_64", version: str = "9.9.9") -> Runtime:
        """Offer these libraries, by name, to every board that asks."""
        libraries = tuple(RuntimeLibrary(name, self.put_artifact(data)) for name, data in files.items())
        runtime = Runtime(arch, "glibc 2.17", version, version, libraries)
        self.offer = RuntimeOffer(runtime, tvm_version=version)
        return runtime

    def put_artifact(self, data: bytes, *, inline: bool = False) -> Artifact:
        """Offer ``data``; the Artifact that names it."""
        digest = hashlib.sha256(data).hexdigest()
        if not inline:
            self.artifacts[digest] = data
        return Artifact(digest, len(data), data if inline else b"")


def make_request(
    trial_id: str,
    library: Artifact | None = None,
    *,
    plan: TimingPlan | None = None,
    args: tuple[Argument, ...] = (Argument((4, 4), "float32", fill_seed=1),),
    params: Artifact | None = None,
    entry: str = "main",
) -> MeasureRequest:
    """A trial. Without ``library`` it carries a few bytes, which is all that the synthetic runner needs."""
    data = trial_id.encode()
    library = library or Artifact(hashlib.sha256(data).hexdigest(), len(data), data)
    program = Program(ProgramKind.KERNEL, library, entry, args, params)
    return MeasureRequest(trial_id, program, plan or TimingPlan(), Limits(run_timeout_s=60.0))
