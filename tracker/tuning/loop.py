"""The tuning loop: propose -> build -> measure -> learn, all four at once and over several tasks.

Search runs in one thread (the cost model is shared by all tasks), building in processes,
measuring on the devices; the loop itself only moves candidates along. It asks for proposals
whenever less is under way than keeps the builders and the devices busy, so adding a board or a
builder needs no flag. Results of one task are learned before that task is searched again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tracker.domain import (
    Argument,
    Capacity,
    FailedBuild,
    Measurement,
    Outcome,
    RecordContext,
    TimingPlan,
    Trial,
    new_trial_id,
)
from tracker.scheduling.task_budget import TaskProgress, first_round_trials, next_task
from tracker.tuning.building.builder import for_schedules
from tracker.tuning.building.pool import BuilderPool, BuildRequest, Built, PoolEnded
from tracker.tuning.engines.base import Candidate, Engine, Known, Learned
from tracker.tuning.errors import FarmFailure, SessionOver
from tracker.tuning.kernel_requests import kernel_request
from tracker.tuning.measuring import MeasureStream, StreamRefused

__all__ = ["Budget", "TaskState", "TuningLoop", "median"]

log = logging.getLogger(__name__)

#: Candidates a builder should have waiting, so that it never stands still while a search runs.
_WAITING_A_BUILDER = 6
#: An untuned convolution of a large network takes seconds a call on a small board: few calls, and patience.
UNTUNED_PLAN = TimingPlan(number=1, repeat=2, min_repeat_ms=10)
_SLOWEST_UNTUNED_S = 60.0
#: What an untuned task computes, for the order of the first round before anything was measured.
_UNTUNED_FLOPS_PER_S = 3e9
#: A candidate's call where the untuned one could not be measured.
_SLOWEST_UNMEASURED_S = 5.0
#: Times the best so far: beyond, a candidate is taken for one that hangs.
_OUT_OF_THE_RACE = 20.0
#: Times the best so far: beyond, a short timing or two tell enough of a candidate.
_HOPELESS = 1.06
#: Seconds past the budget in which trials on the boards may still be answered.
_LAST_ANSWERS_S = 3.0
_INFINITY = float("inf")


@dataclass(frozen=True)
class Budget:
    """Where to stop: ``max_trials`` recorded trials and ``seconds`` of tuning; 0 is no limit of that kind."""

    max_trials: int
    seconds: float


@dataclass
class TaskState:
    """A task while it is tuned. ``history``: best seconds a call after each trial; see TaskProgress."""

    id: str
    name: str
    weight: int
    workload: str
    flops: float
    module: str
    arguments: tuple[Argument, ...]
    new_engine: Callable[[], Engine]
    engine_name: str
    untuned_s: float = 0.0
    history: list[float] = field(default_factory=list)
    replays: list[tuple[str, tuple[float, ...]]] = field(default_factory=list)
    known_elsewhere: Callable[[], Sequence[Known]] = tuple
    taught_by: frozenset[str] = frozenset()  # other classes of device whose records its search began with
    pending: int = 0
    exhausted: bool = False
    untuned_done: bool = False
    learned: deque[Learned] = field(default_factory=deque)
    engine: Engine | None = None
    fault: str = ""  # why its space could not be searched

    def progress(self) -> TaskProgress:
        guess_s = 0.0 if self.untuned_s else self.flops / _UNTUNED_FLOPS_PER_S
        return TaskProgress(self.weight, self.untuned_s, tuple(self.history), self.pending, self.exhausted, guess_s)

    def count(self, run_secs: tuple[float, ...]) -> None:
        """Add one answered trial to the history."""
        best = self.history[-1] if self.history else _INFINITY
        self.history.append(min(best, median(run_secs)) if run_secs else best)


@dataclass
class _Trial:
    """One candidate on its way. ``candidate`` is None for a task's untuned baseline."""

    task: TaskState
    candidate: Candidate | None
    proposed_s: float
    searched_s: float = 0.0
    building_s: float = 0.0
    compiled_s: float = 0.0
    built_s: float = 0.0
    build_cpu_s: float = 0.0


@dataclass(frozen=True)
class _Proposed:
    """What a search of ``seconds`` found."""

    task: TaskState
    candidates: list[Candidate]
    seconds: float


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


class TuningLoop:
    """One job's trials from the first to the last. ``run`` blocks until the budget is spent."""

    def __init__(
        self,
        tasks: list[TaskState],
        builders: BuilderPool,
        open_stream: Callable[[Callable[[object], None]], MeasureStream],
        budget: Budget,
        *,
        target: str,
        plan: TimingPlan,
        batch: int,
        versions: dict[str, str],
        tuned_for_s: float = 0.0,
        on_progress: Callable[[str, float], None] = lambda phase, seconds: None,
    ) -> None:
        self._tasks = tasks
        self._builders = builders
        self._budget = budget
        self._target = target
        self._schedules_target = for_schedules(target)
        self._plan = plan
        self._batch = batch
        self._versions = versions
        self._on_progress = on_progress
        self._events: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._search: queue.SimpleQueue[tuple[TaskState, int] | None] = queue.SimpleQueue()
        self._searching = False
        self._trials: dict[str, _Trial] = {}
        self._capacity = Capacity(0, 0)
        self._tuned_for_s = tuned_for_s
        self._first_round = first_round_trials(len(tasks), budget.max_trials, batch)
        self._without_baseline = [task for task in tasks if not task.untuned_done]
        self._stream = open_stream(self._events.put)

    @property
    def tuned_for_s(self) -> float:
        """Seconds of tuning so far, those of earlier sessions included. Waiting for a device does not count."""
        return self._tuned_for_s

    def run(self) -> None:
        """Raises FarmFailure when the farm cannot measure."""
        self._builders.deliver_to(self._events.put)
        threading.Thread(target=self._search_forever, name="search", daemon=True).start()
        try:
            self._tune()
        finally:
            self._search.put(None)
            self._stream.close()

    def _tune(self) -> None:
        while True:
            while not self._searching and self._wants_more():
                chosen = next_task([task.progress() for task in self._tasks])
                if chosen is None:
                    break
                task = self._tasks[chosen]
                first = not task.history and not task.pending
                count = min(self._first_round if first else self._batch, self._trials_left())
                self._searching = True
                self._search.put((task, count))
            if not self._searching:
                self._build_untuned()
                if not self._trials:
                    return
            self._step()
            if self._time_is_up() and not self._searching and all(task.untuned_done for task in self._tasks):
                # What is still being built or queued would only be measured after the budget's end.
                late = self._tuned_for_s - self._budget.seconds > _LAST_ANSWERS_S
                if late or not self._measuring():
                    return

    def _build_untuned(self) -> None:
        """What each task costs without tuning: the baseline of every comparison, and the weights of the first round.

        The first candidates go ahead of it, so that neither the boards nor a person wait for them.
        """
        for task in self._without_baseline:
            self._build(task, None)
        self._without_baseline = []

    def _step(self) -> None:
        before = time.monotonic()
        try:
            event = self._events.get(timeout=1.0)
        except queue.Empty:
            event = None
        while event is not None:
            self._handle(event)
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                event = None
        if self._capacity.devices or not self._measuring():
            self._tuned_for_s += time.monotonic() - before
        waits = not self._capacity.devices and self._measuring()
        self._on_progress("waiting for a device" if waits else "tuning", self._tuned_for_s)

    # -- how much is wanted

    def _trials_left(self) -> int:
        if not self._budget.max_trials:
            return 1 << 30
        done = sum(len(task.history) for task in self._tasks)
        return self._budget.max_trials - done - self._pending()

    def _time_is_up(self) -> bool:
        return bool(self._budget.seconds) and self._tuned_for_s >= self._budget.seconds

    def _wants_more(self) -> bool:
        enough = _WAITING_A_BUILDER * self._builders.workers + 2 * self._capacity.slots
        return self._pending() < enough and self._trials_left() > 0 and not self._time_is_up()

    def _pending(self) -> int:
        return sum(task.pending for task in self._tasks)

    def _measuring(self) -> int:
        return sum(1 for trial in self._trials.values() if trial.built_s)

    # -- events

    def _handle(self, event: object) -> None:
        if isinstance(event, Capacity):
            self._capacity = event
        elif isinstance(event, _Proposed):
            self._searching = False
            event.task.exhausted = not event.candidates
            for candidate in event.candidates:
                self._build(event.task, candidate, event.seconds / len(event.candidates))
            self._build_untuned()
        elif isinstance(event, Built):
            self._built(event)
        elif isinstance(event, Measurement):
            self._measured(event)
        elif isinstance(event, PoolEnded):
            raise SessionOver("the builders' parent process ended")
        elif isinstance(event, StreamRefused):
            raise FarmFailure(f"the tracker refused to measure: {event.reason}")

    def _build(self, task: TaskState, candidate: Candidate | None, search_s: float = 0.0) -> None:
        now = time.time()
        trial_id = new_trial_id(now)
        self._trials[trial_id] = _Trial(task, candidate, now, now - search_s if candidate else 0.0)
        if candidate is not None:
            task.pending += 1
        if candidate is None:
            self._builders.submit(BuildRequest(trial_id, task.module, self._target))
        else:
            self._builders.submit(BuildRequest(trial_id, candidate.module, self._schedules_target, task.id))

    def _built(self, built: Built) -> None:
        trial = self._trials.get(built.id)
        if trial is None:
            return
        if trial.candidate is not None and self._time_is_up():
            del self._trials[built.id]
            trial.task.pending -= 1
            return
        trial.building_s, trial.compiled_s, trial.built_s = built.building_s, built.compiled_s, built.finished_s
        trial.build_cpu_s = built.cpu_s
        context = self._context(trial)
        if built.outcome is not Outcome.OK:
            self._stream.record(FailedBuild(built.id, built.outcome, built.detail, self._plan, context))
            return
        if trial.candidate is None:
            request = kernel_request(built.id, built.library, trial.task.arguments, UNTUNED_PLAN, _SLOWEST_UNTUNED_S)
        else:
            slowest_s, hopeless_s = self._worth_waiting_s(trial.task), self._hopeless_s(trial.task)
            request = kernel_request(built.id, built.library, trial.task.arguments, self._plan, slowest_s, hopeless_s)
        self._stream.measure(Trial(request, context))

    def _worth_waiting_s(self, task: TaskState) -> float:
        """The longest call that could teach something: a candidate far behind the best is as good as failed."""
        best_s = task.history[-1] if task.history else _INFINITY
        return min(task.untuned_s or _SLOWEST_UNMEASURED_S, _OUT_OF_THE_RACE * best_s)

    def _hopeless_s(self, task: TaskState) -> float:
        """Seconds a call that no repetition can redeem; 0 while nothing is known."""
        return _HOPELESS * task.history[-1] if task.history and task.history[-1] != _INFINITY else 0.0

    def _measured(self, measurement: Measurement) -> None:
        trial = self._trials.pop(measurement.trial_id, None)
        if trial is None:
            return
        if measurement.outcome is Outcome.CANCELLED:
            # The tracker took the job from this worker; what it says of further trials is not recorded.
            raise SessionOver("the tracker cancelled this job's trials")
        run_secs = measurement.run_secs if measurement.outcome is Outcome.OK else ()
        if trial.candidate is None:
            trial.task.untuned_done = True
            trial.task.untuned_s = median(run_secs) if run_secs else 0.0
            if not run_secs:
                log.warning("untuned %s: %s %s", trial.task.name, measurement.outcome, measurement.detail)
            return
        trial.task.pending -= 1
        trial.task.count(run_secs)
        # Three lost boards say little about a schedule: it is recorded and not learned from.
        if measurement.outcome is not Outcome.UNPLACEABLE:
            trial.task.learned.append(Learned(trial.candidate, run_secs, trial.build_cpu_s))

    def _context(self, trial: _Trial) -> RecordContext:
        return RecordContext(
            task_id=trial.task.id,
            workload=trial.task.workload,
            workload_name=trial.task.name,
            target=self._target,
            engine=trial.task.engine_name if trial.candidate else "untuned",
            trace=trial.candidate.trace if trial.candidate else "",
            searched_s=trial.searched_s,
            proposed_s=trial.proposed_s,
            building_s=trial.building_s,
            compiled_s=trial.compiled_s,
            built_s=trial.built_s,
            versions=self._versions,
        )

    # -- threads

    def _search_forever(self) -> None:
        while (order := self._search.get()) is not None:
            task, count = order
            began = time.monotonic()
            self._learn()
            try:
                candidates = self._engine_of(task).propose(count)
            except Exception as error:
                # One operator that MetaSchedule cannot search must not cost the job its other tasks.
                log.exception("%s cannot be searched", task.name)
                task.fault, candidates = f"{type(error).__name__}: {str(error).strip()[-300:]}", []
            self._events.put(_Proposed(task, candidates, time.monotonic() - began))

    def _engine_of(self, task: TaskState) -> Engine:
        if task.engine is None:
            task.engine = task.new_engine()
            for trace, run_secs in task.replays:
                if not task.engine.replay(trace, run_secs):
                    log.warning("%s: a record's trace does not apply any more and is not learned from", task.name)
            task.replays.clear()
            if known := task.known_elsewhere():
                self._teach(task, task.engine, known)
        return task.engine

    def _teach(self, task: TaskState, engine: Engine, known: Sequence[Known]) -> None:
        applied = engine.begin_with(known)
        task.taught_by = frozenset(each.origin for each in applied)
        if misfits := len(known) - len(applied):
            log.warning("%s: %d of %d traces of other classes do not apply here", task.name, misfits, len(known))

    def _learn(self) -> None:
        for task in self._tasks:
            results = [task.learned.popleft() for _ in range(len(task.learned))]
            if not results or task.engine is None:
                continue
            try:
                task.engine.report(results)
            except Exception:
                log.exception("%s: %d results could not be learned from", task.name, len(results))
