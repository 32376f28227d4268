"""Many boards in one process: the whole Fleet protocol, and nothing behind it but a clock.

A board executes one trial at a time, for the trial's ``min_repeat_ms``, prefetches up to its slots, tells what it
starts, beats its heart with telemetry, and keeps each measurement until it is acknowledged.

    python -m benchmarks.crowd_boards TRACKER FIRST COUNT SLOTS

prints ``joined`` when all are in the farm and ends when its standard input does: badly, when a trial is not finished
or not acknowledged a second and a half later.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import os
import random
import resource
import sys
import time
from typing import Any

import grpc.aio
import uvloop

from protos.channel import MESSAGE_OPTIONS
from protos.discovery import PROTOCOL_VERSION
from protos.farm.v1 import device_pb2, fleet_pb2, fleet_pb2_grpc, measurement_pb2

_OPTIONS = [*MESSAGE_OPTIONS, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]

_JOIN_TOGETHER = 50
#: The tracker may keep an acknowledgement for a second.
_LAST_WORDS_S = 1.5


class CrowdBoard:
    """One board: see the module."""

    def __init__(self, tracker: str, number: int, slots: int) -> None:
        self._number, self._slots = number, slots
        self._channel = grpc.aio.insecure_channel(tracker, options=_OPTIONS)
        self._queue: collections.deque[Any] = collections.deque()
        self._said = fleet_pb2.AgentMessage()
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.running: Any = None
        self.unacknowledged: set[str] = set()
        self.joined = asyncio.Event()
        self._heartbeat_s = 5.0

    async def run(self) -> None:
        self._said.join.CopyFrom(_join(self._number, self._slots))
        self._wake.set()
        call = fleet_pb2_grpc.FleetStub(self._channel).Connect()
        writer = asyncio.ensure_future(self._write(call))
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                self._take(message)
        finally:
            writer.cancel()
            await self._channel.close()

    async def _write(self, call: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            said, self._said = self._said, fleet_pb2.AgentMessage()
            await call.write(said)

    def _take(self, message: fleet_pb2.TrackerMessage) -> None:
        if message.HasField("joined"):
            self._heartbeat_s = message.joined.heartbeat_s
            self._loop.call_later(random.uniform(0, self._heartbeat_s), self._beat)
            self.joined.set()
        if message.HasField("refused"):
            raise RuntimeError(message.refused.reason)
        if message.cancelled:
            raise RuntimeError(f"nothing is cancelled here, and {message.cancelled} were")
        self.unacknowledged.difference_update(message.acknowledged)
        for request in message.measure:
            self._queue.append((request.trial_id, request.plan.min_repeat_ms / 1e3))
        self._start()

    def _beat(self) -> None:
        self._said.heartbeat.telemetry.CopyFrom(_telemetry())
        self._wake.set()
        self._loop.call_later(self._heartbeat_s, self._beat)

    def _start(self) -> None:
        if self.running is None and self._queue:
            self.running, kernel_s = self._queue.popleft()
            self._said.started.append(self.running)
            self._wake.set()
            self._loop.call_later(kernel_s, self._finish, time.time(), kernel_s)

    def _finish(self, started_s: float, kernel_s: float) -> None:
        trial_id, self.running = self.running, None
        self.unacknowledged.add(trial_id)
        telemetry = _telemetry()
        self._said.measurements.add(
            trial_id=trial_id,
            outcome=measurement_pb2.OUTCOME_OK,
            run_secs=[kernel_s],
            before=telemetry,
            after=telemetry,
            timeline=measurement_pb2.Timeline(started_s=started_s, finished_s=time.time()),
        )
        self._wake.set()
        self._start()


def _telemetry() -> device_pb2.Telemetry:
    return device_pb2.Telemetry(
        at_unix_s=time.time(),
        temperature_c=51.5,
        frequency_khz=[1_800_000] * 4,
        load_1m=1.0,
        memory_available_bytes=3 << 30,
        cpu_percent=100.0,
    )


def _join(number: int, slots: int) -> fleet_pb2.Join:
    cluster = device_pb2.CpuCluster(cpus=[0, 1, 2, 3], implementer="0x41", part="0xd08", name="Cortex-A72")
    return fleet_pb2.Join(
        protocol_version=PROTOCOL_VERSION,
        device_id=f"crowd-{number:05}",
        name=f"crowd-{number:05}",
        fingerprint=device_pb2.Fingerprint(
            arch="aarch64",
            board_model="Crowd Board",
            hostname=f"crowd-{number:05}",
            clusters=[cluster],
            cpu_features=["asimd", "crc32", "fp"],
            memory_bytes=4 << 30,
        ),
        runner=device_pb2.RunnerInfo(
            mode=device_pb2.RUNNER_MODE_SYNTHETIC, protocol_version=1, threads=4, target_kinds=["llvm"]
        ),
        slots=slots,
        telemetry=_telemetry(),
    )


async def _main(tracker: str, first: int, count: int, slots: int) -> None:
    boards = [CrowdBoard(tracker, number, slots) for number in range(first, first + count)]
    running: list[asyncio.Task[None]] = []
    for start in range(0, count, _JOIN_TOGETHER):
        some = boards[start : start + _JOIN_TOGETHER]
        running += [asyncio.ensure_future(board.run()) for board in some]
        await asyncio.wait_for(asyncio.gather(*(board.joined.wait() for board in some)), 60)
    print("joined", flush=True)
    ending = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    done, _ = await asyncio.wait([ending, *running], return_when=asyncio.FIRST_COMPLETED)
    if ending not in done:
        done.pop().result()
        raise RuntimeError("the tracker ended the stream of a board")
    await asyncio.sleep(_LAST_WORDS_S)
    if left := sum(len(board.unacknowledged) + (board.running is not None) for board in boards):
        raise RuntimeError(f"{left} trials are not finished or not acknowledged")
    # Thousands of channels take their time to be taken down one by one.
    os._exit(0)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    # Nothing here is in a cycle, and what the boards take of the machine is the tracker's loss.
    gc.disable()
    uvloop.run(_main(sys.argv[1], *map(int, sys.argv[2:5])))
