"""An agent for the tracker's tests: real gRPC, and a scripted board behind it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.device import CpuCluster, Fingerprint, RunnerInfo, RunnerMode, Telemetry
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import fleet_pb2, fleet_pb2_grpc, measurement_pb2

__all__ = ["ZEN4", "StandInAgent", "fingerprint", "join_message"]

ZEN4 = CpuCluster(cpus=(0, 1, 2, 3), implementer="AuthenticAMD", part="25/17/1", name="AMD EPYC 9354P")
_FEATURES = (
    "abm avx avx2 avx512_bf16 avx512_bitalg avx512_vbmi2 avx512_vnni avx512bw avx512cd avx512dq avx512f avx512ifma "
    "avx512vbmi avx512vl bmi1 bmi2 cx16 f16c fma gfni movbe popcnt sse4_1 sse4_2 sse4a ssse3 vaes"
)


def fingerprint(hostname: str = "bench") -> Fingerprint:
    return Fingerprint(
        arch="x86_64",
        board_model="Bench Board",
        hostname=hostname,
        clusters=(ZEN4,),
        cpu_features=tuple(_FEATURES.split()),
        memory_bytes=8 << 30,
        agent_version="0.1.0",
    )


def join_message(device_id: str, **changes: Any) -> fleet_pb2.Join:
    runner = RunnerInfo(changes.pop("mode", RunnerMode.FULL), 1, "0.27.0", "0.1.14", 4, ("llvm",))
    runner = changes.pop("runner", runner)
    join = fleet_pb2.Join(
        protocol_version=changes.pop("protocol_version", PROTOCOL_VERSION),
        device_id=device_id,
        name=changes.pop("name", device_id),
        fingerprint=to_message(fleet_pb2.Join().fingerprint.__class__, changes.pop("fingerprint", fingerprint())),
        runner=to_message(fleet_pb2.Join().runner.__class__, runner),
        slots=changes.pop("slots", 2),
        short_slots=changes.pop("short_slots", 0),
        labels=changes.pop("labels", {}),
        telemetry=to_message(
            fleet_pb2.Join().telemetry.__class__,
            changes.pop("telemetry", Telemetry(time.time(), 41.5, (1_500_000,))),
        ),
    )
    assert not changes, changes
    return join


Run = Callable[[measurement_pb2.MeasureRequest], measurement_pb2.Measurement | None]


def fast(request: measurement_pb2.MeasureRequest) -> measurement_pb2.Measurement:
    """Every kernel takes 1 ms a call, and no time to run."""
    now = time.time()
    timeline = measurement_pb2.Timeline(started_s=now - 0.001, finished_s=now)
    return measurement_pb2.Measurement(
        trial_id=request.trial_id,
        outcome=measurement_pb2.OUTCOME_OK,
        run_secs=[0.001] * request.plan.repeat,
        timeline=timeline,
    )


class StandInAgent:
    """Joins at once; answers each request by ``run``, which returns None to keep it unanswered."""

    def __init__(self, address: str, device_id: str, run: Run = fast, **join: Any) -> None:
        self.run = run
        self.outbox: queue.Queue[fleet_pb2.AgentMessage | None] = queue.Queue()
        self.received: list[str] = []
        self.cancelled: list[str] = []
        self.acknowledged: list[str] = []
        self.heartbeats_answered = 0
        #: What was received of the stream, whatever it held.
        self.messages = 0
        self.requests: dict[str, measurement_pb2.MeasureRequest] = {}
        self.joined: fleet_pb2.Joined | None = None
        self.refused: str = ""
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", 64 << 20)])
        self.say(join=join_message(device_id, **join))
        self._stream = fleet_pb2_grpc.FleetStub(self._channel).Connect(iter(self.outbox.get, None))
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"agent-{device_id}", daemon=True)
        self._thread.start()
        assert self._answered.wait(10), "the tracker did not answer Join"

    def say(self, **message: Any) -> None:
        self.outbox.put(fleet_pb2.AgentMessage(**message))

    def answer(self, measurement: measurement_pb2.Measurement) -> None:
        self.say(measurements=[measurement])

    def _read(self) -> None:
        try:
            for message in self._stream:
                self._take(message)
        except grpc.RpcError:
            pass  # the tracker or the test ended the stream; what was expected of it is asserted elsewhere
        finally:
            self._answered.set()

    def _take(self, message: fleet_pb2.TrackerMessage) -> None:
        self.messages += 1
        if message.HasField("joined"):
            self.joined = message.joined
            self._answered.set()
        if message.HasField("refused"):
            self.refused = message.refused.reason
        self.acknowledged += message.acknowledged
        self.heartbeats_answered += message.heard
        self.cancelled += message.cancelled
        for request in message.measure:
            self.received.append(request.trial_id)
            self.requests[request.trial_id] = request
            if (measurement := self.run(request)) is not None:
                self.answer(measurement)

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def cut(self) -> None:
        """The cable is pulled."""
        self._stream.cancel()
        self.outbox.put(None)
        self._channel.close()
        self._thread.join(10)
