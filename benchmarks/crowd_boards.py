"""Many boards in one process: the whole Fleet protocol, and nothing behind it but a clock.

A board executes one trial at a time, for the trial's ``min_repeat_ms``, prefetches up to its slots, tells what it
starts, and its telemetry, with what it says next, and keeps each measurement until it is acknowledged.

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
from collections.abc import Sequence

import uvloop

from benchmarks.board_stream import BoardStream
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.farm.v1 import device_pb2, fleet_pb2, measurement_pb2

_METHOD = f"/{fleet_pb2.DESCRIPTOR.services_by_name['Fleet'].full_name}/Connect"
_JOIN_TOGETHER = 50
#: As agents do.
_LINGER_S = 0.5
#: The tracker may keep an acknowledgement for a second.
_LAST_WORDS_S = 1.5


class CrowdBoard:
    """One board: see the module. ``over`` gets a RuntimeError when it can go on no more."""

    def __init__(self, tracker: str, number: int, slots: int) -> None:
        self._tracker, self._number, self._slots = tracker, number, slots
        self._loop = asyncio.get_running_loop()
        self._stream = BoardStream(tracker, _METHOD, self._take, self._fail)
        self._queue: collections.deque[tuple[str, float]] = collections.deque()
        self._heartbeat_s = 5.0
        self.running = ""
        self._started: list[str] = []
        self._beats = False
        self._linger: asyncio.TimerHandle | None = None
        self.unacknowledged: set[str] = set()
        self.joined: asyncio.Future[None] = self._loop.create_future()
        self.over: asyncio.Future[None] = self._loop.create_future()

    async def join(self) -> None:
        """Raises RuntimeError when the tracker does not take it."""
        host, port = self._tracker.rsplit(":", 1)
        await self._loop.create_connection(lambda: self._stream, host, int(port))
        self._say(fleet_pb2.AgentMessage(join=_join(self._number, self._slots)))
        await asyncio.wait([self.joined, self.over], return_when=asyncio.FIRST_COMPLETED)
        if self.over.done():
            self.over.result()

    def _fail(self, reason: str) -> None:
        if not self.over.done():
            self.over.set_exception(RuntimeError(f"board {self._number}: {reason}"))

    def _say(self, message: fleet_pb2.AgentMessage) -> None:
        message.started.extend(self._started)
        self._started.clear()
        if self._beats:
            self._beats = False
            message.heartbeat.telemetry.CopyFrom(_telemetry())
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._stream.send(message.SerializeToString())

    def _take(self, received: bytes) -> None:
        message = fleet_pb2.TrackerMessage.FromString(received)
        if message.HasField("joined"):
            self._heartbeat_s = message.joined.heartbeat_s
            self._loop.call_later(random.uniform(0, self._heartbeat_s), self._beat)
            self.joined.set_result(None)
        if message.HasField("refused"):
            self._fail(message.refused.reason)
        if message.cancelled:
            self._fail(f"nothing is cancelled here, and {message.cancelled} were")
        self.unacknowledged.difference_update(message.acknowledged)
        self._queue += [(request.trial_id, request.plan.min_repeat_ms / 1e3) for request in message.measure]
        if self._queue and not self.running:
            self._start()

    def _beat(self) -> None:
        self._beats = True
        self._say_soon()
        self._loop.call_later(self._heartbeat_s, self._beat)

    def _start(self) -> None:
        self.running, kernel_s = self._queue.popleft()
        self._loop.call_later(kernel_s, self._finish, time.time(), kernel_s)
        self._started.append(self.running)
        self._say_soon()

    def _say_soon(self) -> None:
        if self._linger is None:
            self._linger = self._loop.call_later(_LINGER_S, lambda: self._say(fleet_pb2.AgentMessage()))

    def _finish(self, started_s: float, kernel_s: float) -> None:
        trial_id, self.running = self.running, ""
        self.unacknowledged.add(trial_id)
        telemetry = _telemetry()
        message = fleet_pb2.AgentMessage()
        message.measurements.add(
            trial_id=trial_id,
            outcome=measurement_pb2.OUTCOME_OK,
            run_secs=[kernel_s],
            before=telemetry,
            after=telemetry,
            timeline=measurement_pb2.Timeline(started_s=started_s, finished_s=time.time()),
        )
        if self._queue:
            self._start()
        self._say(message)


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
    for start in range(0, count, _JOIN_TOGETHER):
        some = boards[start : start + _JOIN_TOGETHER]
        await asyncio.wait_for(asyncio.gather(*(board.join() for board in some)), 60)
    print("joined", flush=True)
    ending = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    done, _ = await asyncio.wait([ending, *(board.over for board in boards)], return_when=asyncio.FIRST_COMPLETED)
    if ending not in done:
        _raise_failure(boards)
    await asyncio.sleep(_LAST_WORDS_S)
    if left := sum(len(board.unacknowledged) + bool(board.running) for board in boards):
        raise RuntimeError(f"{left} trials are not finished or not acknowledged")
    # Thousands of channels take their time to be taken down one by one.
    os._exit(0)


def _raise_failure(boards: Sequence[CrowdBoard]) -> None:
    for board in boards:
        if board.over.done():
            board.over.result()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    # Nothing here is in a cycle, and what the boards take of the machine is the tracker's loss.
    gc.disable()
    uvloop.run(_main(sys.argv[1], *map(int, sys.argv[2:5])))
