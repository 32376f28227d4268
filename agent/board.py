"""The running agent: carries out what the session decides, and tells it what came of it."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tvm_farm.agent.artifacts import ArtifactCache
from tvm_farm.agent.disk import DiskError, DiskWatch
from tvm_farm.agent.effects import (
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
from tvm_farm.agent.errors import ArtifactError, UpgradeError
from tvm_farm.agent.events import (
    Event,
    FilesFailed,
    FilesReady,
    Finished,
    RunnerFailed,
    RuntimeCame,
    Stop,
    Tick,
    TurnCame,
    UpgradeFailed,
    UpgradeReady,
    UpgradeShare,
)
from tvm_farm.agent.link import Link
from tvm_farm.agent.messages import Heartbeat, Join
from tvm_farm.agent.runner import DeviceAwayError, Runner, RunnerError, RunReport
from tvm_farm.agent.runtime import BoardRuntime
from tvm_farm.agent.session import begin, transition, wakes_at
from tvm_farm.agent.telemetry import TelemetryReader
from tvm_farm.agent.trial_files import TrialFiles
from tvm_farm.agent.upgrade.upgrades import AgentUpgrades
from tvm_farm.protos.channel import OUTPUTS_BYTES
from tvm_farm.protos.device import Telemetry
from tvm_farm.protos.measurement import Measurement, MeasureRequest, Outcome, Timeline
from tvm_farm.protos.upgrade import Upgrade

__all__ = ["Board", "Locate"]

log = logging.getLogger("agent")

#: Finds the tracker: takes the farm this agent belongs to ("" before it ever joined), gives host:port texts.
Locate = Callable[[str], Awaitable[Sequence[str]]]

_FLUSH_S = 2.0
#: Trials that the runner is told ahead; see Runner.offer.
_AHEAD = 7


class Board:
    """One agent at work. ``join`` is what it says of itself; its telemetry is read at every join.

    ``telemetry`` makes a reader: heartbeats have one and measurements another, since a reading tells
    of the time since the one before. ``runtime`` fits the runner to the tracker before each join; None leaves it.

    ``watch`` runs beside the session, ``check`` after each trial; a RunnerError that they raise ends it, and what was
    just measured does not count.

    ``identity`` tells the device id, which a person may change meanwhile; None: it stays.

    ``upgrades`` are those of this agent's process; None: it says that it knows none.

    ``turn``: whoever holds it executes, of all devices that this machine has; None where there is no other.

    ``run`` returns when the session ends, with what to end with. It raises AgentError where no
    tracker can be chosen; anything else that it raises is a bug. The runner is started already,
    and stopped by whoever started it.
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
        runtime: BoardRuntime | None = None,
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
        self._runner = runner
        # What a reading tells since the one before would be swallowed by a heartbeat in the middle of a kernel.
        self._heartbeats, self._around_kernels = telemetry(), telemetry()
        self._locate = locate
        self._runtime = runtime
        self._watch, self._check = watch, check
        self._turn = turn
        self._has_turn = False
        self._stopped = False
        self._events: asyncio.Queue[Event | BaseException] = asyncio.Queue()
        self._disk = DiskWatch(cache_dir, self._events.put_nowait, self._spawn)
        self._link = Link(self._events.put_nowait, self._spawn)
        self.cache = ArtifactCache(cache_dir, cache_bytes, self._link.fetch)
        if runtime is not None:
            runtime.on_arrival = lambda: self._events.put_nowait(RuntimeCame())
            runtime.on_disk_error = functools.partial(self._disk.failed, mended=RuntimeCame())
            runtime.folder.spare = self.cache.drop_unused
        self.session, self._first = begin(max(join.slots, join.short_slots), shares_board=turn is not None)
        self.outcomes: Counter[Outcome] = Counter()
        self.last_telemetry = self._heartbeats.read()
        self._tasks: set[asyncio.Task[None]] = set()
        self._files: dict[str, TrialFiles] = {}
        #: The trials that the runner was told come next.
        self._ahead: set[str] = set()
        self._failed = False
        self._readings: deque[Telemetry] = deque(maxlen=2 * _AHEAD)

    @property
    def name(self) -> str:
        """What it asks to be called in the farm."""
        return self._join.name

    def stop(self, *, again: bool = True) -> None:
        """Drain and end. Asked for a second time it ends at once, or with ``again`` False goes on draining."""
        if again or not self._stopped:
            self._stopped = True
            self._events.put_nowait(Stop(insists=again))

    async def run(self) -> Exit:
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
                self._look_ahead()
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
            self._runner_failed(error)

    def _runner_failed(self, error: RunnerError) -> None:
        """Told once, whoever notices first; what a kernel still answers belongs to a trial that is given back."""
        if self._failed:
            return
        self._failed = True
        self._events.put_nowait(RunnerFailed(str(error), isinstance(error, DeviceAwayError)))

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
            files = TrialFiles(self.cache, effect.request)
            self._files[effect.request.trial_id] = files
            files.fetching = self._spawn(self._bring(files))
        elif isinstance(effect, Release):
            files = self._files.pop(effect.trial_id)
            if effect.trial_id in self._ahead:
                self._ahead.remove(effect.trial_id)
                self._spawn(self._runner.withdraw(files.local))
            files.release()
        elif isinstance(effect, StartRun):
            if effect.request.trial_id in self._ahead:
                self._ahead.remove(effect.request.trial_id)
            else:
                self._readings.append(self._around_kernels.read())
            self._spawn(self._measure(effect.request))
        elif isinstance(effect, AskTurn):
            self._spawn(self._await_turn())
        elif isinstance(effect, PassTurn):
            self._pass_turn()
        elif isinstance(effect, CancelRun):
            self._spawn(self._runner.cancel())
        elif isinstance(effect, Connect):
            self._spawn(self._connect(effect.after_s))
        elif isinstance(effect, BringUpgrade):
            self._bringing = self._spawn(self._bring_upgrade(effect.upgrade))
        elif isinstance(effect, DropUpgrade):
            if self._bringing is not None:
                self._bringing.cancel()
        elif isinstance(effect, Settle):
            if self._upgrades is not None:
                self._upgrades.joined()
        elif isinstance(effect, Disconnect):
            self._link.drop(effect.reason)
        elif isinstance(effect, Say):
            log.log(logging.getLevelName(effect.level), effect.text)

    def _look_ahead(self) -> None:
        """The runner is told what comes next while it executes a trial: then no kernel waits for this process."""
        # Where devices take turns, what the runner begins by itself may be in another one's turn.
        if not self.session.running or self._turn is not None:
            return
        for held in self.session.queue:
            if not held.ready or len(self._ahead) == _AHEAD:
                return  # the turn of one that is not ready may come before that of those behind it
            trial = held.request.trial_id
            if trial not in self._ahead:
                self._ahead.add(trial)
                self._spawn(self._runner.offer(self._files[trial].local))

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
        """The Join says what the runner is: what it runs with comes before."""
        if self._runtime is not None:
            self._join = replace(self._join, runner=await self._runtime.agree(self._link))

    async def _bring_upgrade(self, upgrade: Upgrade) -> None:
        def told(share: float) -> None:
            self._events.put_nowait(UpgradeShare(upgrade.id, share))

        assert self._upgrades is not None, "one that says so in its Join is sent none"
        try:
            await self._upgrades.bring(upgrade, self._link.fetch, told, self._addresses)
        except UpgradeError as error:
            self._events.put_nowait(UpgradeFailed(upgrade.id, str(error)))
        else:
            self._events.put_nowait(UpgradeReady(upgrade.id))

    async def _bring(self, files: TrialFiles) -> None:
        trial = files.request.trial_id
        try:
            await files.bring()
        except DiskError as error:
            self._disk.failed(error, trial)
        except ArtifactError as error:
            self._events.put_nowait(FilesFailed(trial, str(error)))
        else:
            self._disk.took()
            self._events.put_nowait(FilesReady(trial))

    async def _measure(self, request: MeasureRequest) -> None:
        files = self._files[request.trial_id]
        try:
            report = await self._runner.run(files.local)
            self._check()
        except RunnerError as error:
            self._runner_failed(error)
            return
        if self._failed:
            return
        measurement = _fit_outputs(_measurement(request, report, files.received_s))
        before = self._last_reading(report.started_s)
        self._readings.append(self._around_kernels.read())
        measurement = replace(measurement, before=before, after=self._readings[-1])
        self.outcomes[measurement.outcome] += 1
        self._events.put_nowait(Finished(measurement))

    def _last_reading(self, started_s: float) -> Telemetry:
        """The last before a kernel began: one that was offered begins before this process hears of its turn."""
        return next((each for each in reversed(self._readings) if each.at_unix_s <= started_s), self._readings[-1])


def _measurement(request: MeasureRequest, report: RunReport, received_s: float) -> Measurement:
    return Measurement(
        trial_id=request.trial_id,
        outcome=report.outcome,
        detail=report.detail,
        signal=report.signal,
        run_secs=report.run_secs,
        outputs=report.outputs,
        cut_short=report.cut_short,
        timeline=Timeline(received_s=received_s, started_s=report.started_s, finished_s=report.finished_s),
    )


def _fit_outputs(measurement: Measurement) -> Measurement:
    """Outputs too large for one message would end the stream again at every new try."""
    size = sum(len(output.data) for output in measurement.outputs)
    if size <= OUTPUTS_BYTES:
        return measurement
    detail = f"its outputs are {size >> 20} MB, a message carries at most {OUTPUTS_BYTES >> 20} MB"
    return replace(measurement, outcome=Outcome.RUN_ERROR, detail=detail, run_secs=(), outputs=())
