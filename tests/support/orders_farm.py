"""The tracker's services without a wire: a store in memory, a clock of the test's, boards that keep what they get."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.support.measure_client import request
from tvm_farm.protos.device import Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.tracker.domain import Capacity, Join, Measurement, OpenMeasure, Outcome, Timeline, Upgrade
from tvm_farm.tracker.measuring.board import Board, Cancel, Order
from tvm_farm.tracker.measuring.request import TrialRequest
from tvm_farm.tracker.measuring.stream import Answer, Stream
from tvm_farm.tracker.services.artifacts import ArtifactStore
from tvm_farm.tracker.services.device_orders import OrderBook
from tvm_farm.tracker.services.fleet import Fleet
from tvm_farm.tracker.services.measuring import Measuring
from tvm_farm.tracker.services.store_thread import StoreThread
from tvm_farm.tracker.store import open_store
from tvm_farm.tracker.wire.requests import seal

__all__ = ["Client", "OrdersFarm"]


class Client:
    """A stream of trials: what it was told of capacity last, and the answers by trial."""

    stream: Stream

    def __init__(self) -> None:
        self.capacity = Capacity(-1, -1)
        self.answers: dict[str, Measurement] = {}

    def take(self, answer: Answer) -> None:
        if isinstance(answer, Capacity):
            self.capacity = answer
        else:
            self.answers[answer.trial_id] = answer


class OrdersFarm:
    """``sent``: trials by board, ``cancelled`` and ``upgrades`` likewise. ``restart`` makes a tracker anew on the same
    store."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.now = 1_000_000.0
        self.store = StoreThread(open_store("memory:"), asyncio.get_running_loop())
        self.sent: dict[str, list[str]] = {}
        self.cancelled: dict[str, list[str]] = {}
        self.upgrades: dict[str, list[Upgrade]] = {}
        self.artifacts = ArtifactStore(state)

    async def restart(self) -> None:
        def clock() -> float:
            return self.now

        self.fleet = Fleet(self.store, clock=clock)
        self.order_book = OrderBook(self.fleet, clock)
        self.measuring = Measuring(self.fleet, self.store, self.artifacts, "1", lambda job_id: None, clock, clock)
        await self.fleet.load(self.measuring)

    def join(self, name: str, slots: int = 1, **changes: Any) -> Board:
        sent, cancelled = self.sent.setdefault(name, []), self.cancelled.setdefault(name, [])
        upgrades = self.upgrades.setdefault(name, [])

        def send(order: Order | None) -> None:
            if isinstance(order, TrialRequest):
                sent.append(order.trial_id)
            elif isinstance(order, Cancel):
                cancelled.extend(order.trial_ids)
            elif isinstance(order, Upgrade):
                upgrades.append(order)

        fingerprint = Fingerprint(arch="x86_64", hostname=name, memory_bytes=changes.pop("memory_bytes", 0))
        runner = RunnerInfo(RunnerMode.FULL)
        board = self.fleet.join(Join(PROTOCOL_VERSION, name, name, fingerprint, runner, slots=slots, **changes), send)
        self.fleet.ready(board)
        return board

    async def open(self, user: str = "", pool: str = "x86_64", **opened: Any) -> Client:
        client = Client()
        opening = OpenMeasure("test", opened.pop("job_id", ""), pool, user=user, **opened)
        client.stream = await self.measuring.open(opening, client.take)
        return client

    async def submit(self, client: Client, *trial_ids: str) -> None:
        for trial_id in trial_ids:
            await self.measuring.submit(client.stream, seal(request(trial_id)), None)

    def answer(self, board: Board, trial_id: str, seconds: float = 1.0) -> None:
        """The board measured it, which took ``seconds``."""
        timeline = Timeline(started_s=self.now - seconds, finished_s=self.now)
        self.measuring.result(board, Measurement(trial_id, Outcome.OK, run_secs=(0.1,), timeline=timeline))
