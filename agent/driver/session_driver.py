"""The driver of one device's session: carries out what the session decides, and tells it what came of that."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tvm_farm.agent.board.telemetry import TelemetryReader
from tvm_farm.agent.driver.disk_watch import DiskWatch
from tvm_farm.agent.driver.trials import Trials
from tvm_farm.agent.errors import UpgradeError
from tvm_farm.agent.files.artifacts import ArtifactCache
from tvm_farm.agent.link.link import Link
from tvm_farm.agent.runner import Runner, RunnerError
from tvm_farm.agent.runtime.agreement import RuntimeAgreement
from tvm_farm.agent.session.effects import (
    AskTurn,
    BringUpgrade,
    CancelRun,
    Connect,
    Disconnect,
    DropUpgrade,
    Effect,
    Exit,
    Fetch,
    PassTurn,
    Release,
    Say,
    Send,
    SendHeartbeat,
    SendJoin,
    Settle,
    StartRun,
)
from tvm_farm.agent.session.events import (
    Event,
    RuntimeCame,
    Stop,
    Tick,
    TurnCame,
    UpgradeFailed,
    UpgradeReady,
    UpgradeShare,
)
from tvm_farm.agent.session.messages import Heartbeat
from tvm_farm.agent.session.transition import begin, transition, wakes_at
from tvm_farm.agent.upgrade.upgrades import AgentUpgrades
from tvm_farm.protos.device import Telemetry
from tvm_farm.protos.join import Join
from tvm_farm.protos.measurement import Outcome
from tvm_farm.protos.upgrade import Upgrade

__all__ = ["Locate", "SessionDriver"]

log = logging.getLogger("agent")

#: Finds the tracker: takes the farm this agent belongs to ("" before it ever joined), gives host:port texts.
Locate = Callable[[str], Awaitable[Sequence[str]]]

#: How long the last messages may take to leave.
_FLUSH_S = 2.0


class SessionDriver:
    """One device at work, from ``run`` to the end of its session.

    ``join`` is what the device says of itself; its telemetry is read at every join. ``telemetry`` makes a reader:
    heartbeats have one and measurements another, since a reading tells of the time since the one before.

    ``runtime`` fits the runner to the tracker before each join; None: the runner stays as it is. ``watch`` runs beside
    the session, ``check`` after each trial; a RunnerError that they raise ends the session, and what was just measured
    does not count.

    ``turn`` is held while the device executes, by one device of the board at a time; None: there is no other.
    ``upgrades`` are those of this agent's process; None: the Join says that the agent knows none. ``identity`` tells
    the device id, which a person may change meanwhile; None: the id of ``join`` stays.

    The runner is started already, and stopped by whoever started it.
    """

    def __init__(
        self,
        join: Join,
        runner: Runner,
        telemetry: Callable[[], TelemetryReader],
        locate: Locate,
        cache_dir: Path,
        cache_bytes: int,
        *,
        runtime: RuntimeAgreement | None = None,
        watch: Callable[[], Awaitable[None]] | None = None,
        check: Callable[[], None] = lambda: None,
        turn: asyncio.Lock | None = None,
        upgrades: AgentUpgrades | None = None,
        identity: Callable[[], str] | None = None,
    ) -> None:
        self._join = join
        self._identity = identity
        self._upgrades = upgrades
        self._bringing: asyncio.Task[None] | None = None
        self._addresses: Sequence[str] = ()
        self._locate = locate
        self._runtime = runtime
        self._watch = watch
        self._turn = turn
        self._has_turn = False
        self._stopped = False
        self._events: asyncio.Queue[Event | BaseException] = asyncio.Queue()
        deliver = self._events.put_nowait
        self._disk = DiskWatch(cache_dir, deliver, self._spawn)
        self._link = Link(deliver, self._spawn)
        self.cache = ArtifactCache(cache_dir, cache_bytes, self._link.fetch)
        if runtime is not None:
            runtime.on_arrival = lambda: deliver(RuntimeCame())
            runtime.on_disk_error = functools.partial(self._disk.failed, mended=RuntimeCame())
            runtime.folder.spare = self.cache.drop_unused
        # A heartbeat in the middle of a kernel would swallow what the reading after it tells since the one before.
        self._heartbeats, around_kernels = telemetry(), telemetry()
        self._trials = Trials(runner, self.cache, self._disk, around_kernels, check, deliver, self._spawn)
        self.session, self._first = begin(max(join.slots, join.short_slots), shares_board=turn is not None)
        self.last_telemetry = self._heartbeats.read()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """What the device asks to be called in the farm."""
        return self._join.name

    @property
    def outcomes(self) -> Counter[Outcome]:
        """Trials that ended here, by outcome."""
        return self._trials.outcomes

    def stop(self, *, again: bool = True) -> None:
        """Drain and end. A second call ends at once, or with ``again`` False lets the draining go on."""
        if again or not self._stopped:
            self._stopped = True
            self._events.put_nowait(Stop(insists=again))

    async def run(self) -> Exit:
        """Work until the session ends; what to end with.

        Raises AgentError where no tracker can be chosen. Anything else that it raises is a bug.
        """
        loop = asyncio.get_running_loop()
        try:
            if self._watch is not None:
                self._spawn(self._watch_device(self._watch))
            await self._disk.look()
            self._spawn(self._disk.watch())
            ending = self._carry_out(self._first)
            while ending is None:
                event = await self._next_event()
                self.session, effects = transition(self.session, event, loop.time())
                ending = self._carry_out(effects)
                self._trials.look_ahead(self.session)
            await self._link.close(flush_s=_FLUSH_S)
            return ending
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            if self._runtime is not None:
                await self._runtime.stop()
            await self._link.close()
            self._pass_turn()

    async def _watch_device(self, watch: Callable[[], Awaitable[None]]) -> None:
        try:
            await watch()
        except RunnerError as error:
            self._trials.runner_failed(error)

    async def _next_event(self) -> Event:
        loop = asyncio.get_running_loop()
        due = wakes_at(self.session)
        alarm = None if math.isinf(due) else loop.call_at(due, self._events.put_nowait, Tick())
        event = await self._events.get()
        if alarm is not None:
            alarm.cancel()
        if isinstance(event, BaseException):
            raise event
        return event

    def _carry_out(self, effects: Sequence[Effect]) -> Exit | None:
        ending = None
        for effect in effects:
            if isinstance(effect, Exit):
                ending = effect
            else:
                self._do(effect)
        return ending

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            self._link.send(effect.message, effect.patient)
        elif isinstance(effect, SendHeartbeat):
            self._link.send(Heartbeat(self._feel()))
        elif isinstance(effect, SendJoin):
            device_id = self._identity() if self._identity else self._join.device_id
            self._link.send(replace(self._join, device_id=device_id, telemetry=self._feel()))
        elif isinstance(effect, Fetch):
            self._trials.fetch(effect.request)
        elif isinstance(effect, Release):
            self._trials.release(effect.trial_id)
        elif isinstance(effect, StartRun):
            self._trials.start(effect.request)
        elif isinstance(effect, CancelRun):
            self._trials.cancel()
        elif isinstance(effect, AskTurn):
            self._spawn(self._await_turn())
        elif isinstance(effect, PassTurn):
            self._pass_turn()
        elif isinstance(effect, Connect):
            self._spawn(self._connect(effect.after_s))
        elif isinstance(effect, Disconnect):
            self._link.drop(effect.reason)
        elif isinstance(effect, BringUpgrade):
            self._bringing = self._spawn(self._bring_upgrade(effect.upgrade))
        elif isinstance(effect, DropUpgrade):
            if self._bringing is not None:
                self._bringing.cancel()
        elif isinstance(effect, Settle):
            if self._upgrades is not None:
                self._upgrades.joined()
        elif isinstance(effect, Say):
            log.log(logging.getLevelName(effect.level), effect.text, extra={"device": self.name})

    async def _await_turn(self) -> None:
        assert self._turn is not None
        await self._turn.acquire()
        self._has_turn = True
        self._events.put_nowait(TurnCame())

    def _pass_turn(self) -> None:
        if self._turn is not None and self._has_turn:
            self._has_turn = False
            self._turn.release()

    def _feel(self) -> Telemetry:
        self.last_telemetry = self._heartbeats.read()
        if self._runtime is not None:
            self.last_telemetry = replace(self.last_telemetry, runtime_share=self._runtime.share)
        if self._disk.fault:
            self.last_telemetry = replace(self.last_telemetry, disk_fault=self._disk.fault)
        return self.last_telemetry

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._events.put_nowait(error)

    async def _connect(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._addresses = await self._locate(self.session.farm)
        await self._link.open(self._addresses, self._prepare)

    async def _prepare(self) -> None:
        """Agree on the runtime before the Join, which says what the runner is."""
        if self._runtime is not None:
            self._join = replace(self._join, runner=await self._runtime.agree(self._link))

    async def _bring_upgrade(self, upgrade: Upgrade) -> None:
        def told(share: float) -> None:
            self._events.put_nowait(UpgradeShare(upgrade.id, share))

        assert self._upgrades is not None, "an agent whose Join says that it knows no upgrades is sent none"
        try:
            await self._upgrades.bring(upgrade, self._link.fetch, told, self._addresses)
        except UpgradeError as error:
            self._events.put_nowait(UpgradeFailed(upgrade.id, str(error)))
        else:
            self._events.put_nowait(UpgradeReady(upgrade.id))
