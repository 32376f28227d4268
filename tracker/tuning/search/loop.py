"""The tuning loop: propose -> build -> measure -> learn, all four at once and over several tasks.

A thread searches, processes build, devices measure; the loop only moves candidates along. The loop asks for proposals
whenever fewer candidates are under way than keep builders and devices busy, so that a further board or builder needs no
flag. Results of a task are learned before that task is searched again.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tvm_farm.tracker.client.measure_stream import MeasureStream, StreamRefused
from tvm_farm.tracker.domain import (
    Capacity,
    FailedBuild,
    Measurement,
    Outcome,
    Preparation,
    RecallCandidate,
    SearchStep,
    TimingPlan,
    Trial,
    new_trial_id,
)
from tvm_farm.tracker.domain.outcomes import meaning
from tvm_farm.tracker.tuning.building.base import Builders, BuildersEnded, BuildRequest, Built
from tvm_farm.tracker.tuning.building.builder import for_schedules
from tvm_farm.tracker.tuning.building.kernel_requests import kernel_request, run_timeout_s
from tvm_farm.tracker.tuning.engines.base import Learned
from tvm_farm.tracker.tuning.errors import FarmFailure, SessionOver
from tvm_farm.tracker.tuning.search.in_flight import InFlight
from tvm_farm.tracker.tuning.search.run_limits import SLOWEST_UNTUNED_S, UNTUNED_PLAN, hopeless_s, slowest_call_s
from tvm_farm.tracker.tuning.search.search import Proposal, Proposed, Retraced, Script, Search
from tvm_farm.tracker.tuning.search.search_thread import SearchThread
from tvm_farm.tracker.tuning.search.task_budget import first_round_trials, next_task
from tvm_farm.tracker.tuning.search.task_state import TaskState, median

__all__ = ["Budget", "Recall", "TuningLoop"]

log = logging.getLogger(__name__)

#: Candidates that wait for each builder, so that none stands still while a search runs.
_WAITING_A_BUILDER = 6
#: Seconds past the budget in which trials on the boards may still be answered.
_LAST_ANSWERS_S = 3.0

#: Asks the log for measurements of candidates under a plan, and gives the log the step that proposed them.
Recall = Callable[[TimingPlan, Sequence[RecallCandidate], SearchStep | None], Sequence[Measurement]]


@dataclass(frozen=True)
class Budget:
    """Where to stop: ``max_trials`` recorded trials and ``seconds`` of tuning; 0 is no limit of that kind."""

    max_trials: int
    seconds: float


class TuningLoop:
    """One job's trials from the first to the last. ``run`` blocks until the budget is spent."""

    def __init__(
        self,
        tasks: list[TaskState],
        builders: Builders,
        open_stream: Callable[[Callable[[object], None]], MeasureStream],
        budget: Budget,
        *,
        target: str,
        plan: TimingPlan,
        batch: int,
        versions: dict[str, str],
        tuned_for_s: float = 0.0,
        on_progress: Callable[[str, float], None] = lambda phase, seconds: None,
        recall: Recall = lambda plan, candidates, step: (),
        script: Script | None = None,
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
        self._recall = recall
        self._search = Search(tasks, self._keep, script)
        self._search_thread = SearchThread(self._events.put)
        self._searching = self._retracing = False
        #: Proposals that wait for their build because the budget was spent, each with its seconds of search.
        self._reserve: deque[tuple[Proposal, float]] = deque()
        #: Trials that were left when the search under way began.
        self._room = 0
        self._in_flight: dict[str, InFlight] = {}
        self._capacity = Capacity(0, 0)
        self._tuned_for_s = tuned_for_s
        self._first_round = first_round_trials(len(tasks), budget.max_trials, batch)
        self._without_baseline = [task for task in tasks if not task.untuned_done]
        self._stream = open_stream(self._events.put)

    @property
    def tuned_for_s(self) -> float:
        """Seconds of tuning so far, with those of earlier sessions. Seconds without a device do not count."""
        return self._tuned_for_s

    def run(self) -> None:
        """Raises FarmFailure when the farm cannot measure."""
        self._builders.deliver_to(self._events.put)
        self._search_thread.start()
        try:
            self._tune()
        finally:
            self._search_thread.close()
            self._stream.close()

    def _tune(self) -> None:
        if self._search.retraces and self._trials_left() > 0 and not self._time_is_up():
            self._retracing = True
            self._order(self._search.retrace)
        while True:
            if not self._searching and (order := self._next_search()) is not None:
                self._order(order)
            if not self._searching:
                self._build_untuned()
                if not self._in_flight:
                    return
            self._step()
            if self._time_is_up() and not self._searching and all(task.untuned_done for task in self._tasks):
                # A candidate that is still built or queued would be measured after the budget's end.
                late = self._tuned_for_s - self._budget.seconds > _LAST_ANSWERS_S
                if late or not self._measuring():
                    return

    def _order(self, search: Callable[[], Proposed | Retraced]) -> None:
        self._searching, self._room = True, self._trials_left()
        self._search_thread.order(search)

    def _next_search(self) -> Callable[[], Proposed] | None:
        """None where enough is under way, or where the next step of another job awaits results."""
        self._build_reserve()
        if not self._wants_more():
            return None
        if (past := self._search.ahead()) is not None:
            if self._search.awaits(past):
                return None
            return partial(self._search.propose, self._tasks[past.step.task], past.step.count, past)
        chosen = next_task([task.progress() for task in self._tasks])
        if chosen is None:
            return None
        task = self._tasks[chosen]
        first = not task.history and not task.pending
        # The batch is whole also where the budget ends within it: a job that goes on later finds the rest proposed.
        return partial(self._search.propose, task, self._first_round if first else self._batch)

    def _build_reserve(self) -> None:
        while self._reserve and self._trials_left() > 0 and not self._time_is_up():
            proposal, search_s = self._reserve.popleft()
            self._open(proposal, search_s)
            self._build(proposal.trial_id)

    def _build_untuned(self) -> None:
        """Untuned kernels tell what each task costs without tuning. They are the baseline of every comparison and weigh
        the tasks in the first round.

        The first candidates go ahead of them, so that neither the boards nor a person wait.
        """
        tasks, self._without_baseline = self._without_baseline, []
        now = time.time()
        baselines = {new_trial_id(now): InFlight(task, None, Preparation(proposed_s=now)) for task in tasks}
        self._in_flight.update(baselines)
        limit_s = run_timeout_s(SLOWEST_UNTUNED_S, UNTUNED_PLAN)
        asked = [
            RecallCandidate(trial_id, trial.context(self._target, self._versions), limit_s)
            for trial_id, trial in baselines.items()
        ]
        for known in self._recall(UNTUNED_PLAN, asked, None) if asked else ():
            self._measured(known)
            del baselines[known.trial_id]
        for trial_id in baselines:
            self._build(trial_id)

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
        if self._retracing:
            self._on_progress("searching up to where it was", self._tuned_for_s)
            return
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
        return sum(1 for trial in self._in_flight.values() if trial.steps.built_s)

    # -- events

    def _handle(self, event: object) -> None:
        if isinstance(event, Capacity):
            self._capacity = event
        elif isinstance(event, Proposed):
            event.task.exhausted = not event.proposals
            self._take(event.proposals, event.known, event.seconds / max(1, len(event.proposals)))
        elif isinstance(event, Retraced):
            self._retracing = False
            self._take(event.unmeasured, event.known, 0.0)
        elif isinstance(event, Built):
            self._built(event)
        elif isinstance(event, Measurement):
            self._measured(event)
        elif isinstance(event, BuildersEnded):
            raise SessionOver("the builders' parent process ended")
        elif isinstance(event, Exception):
            raise event
        elif isinstance(event, StreamRefused):
            raise FarmFailure(f"the tracker refused to measure: {event.reason}")

    def _take(self, proposals: Sequence[Proposal], known: Mapping[str, Measurement], search_s: float) -> None:
        """Proposals that the log knows are counted at once; the others are built."""
        self._searching = False
        for proposal in proposals:
            if proposal.trial_id in known:
                self._open(proposal, search_s)
                self._measured(known[proposal.trial_id])
            else:
                self._reserve.append((proposal, search_s))
        self._build_reserve()
        self._build_untuned()

    def _open(self, proposal: Proposal, search_s: float) -> None:
        now = time.time()
        proposal.task.pending += 1
        self._in_flight[proposal.trial_id] = InFlight(proposal.task, proposal, Preparation(now - search_s, now))

    def _build(self, trial_id: str) -> None:
        trial = self._in_flight[trial_id]
        if trial.proposal is None:
            self._builders.submit(BuildRequest(trial_id, trial.task.module, self._target))
        else:
            module = trial.proposal.candidate.module
            self._builders.submit(BuildRequest(trial_id, module, self._schedules_target, trial.task.id))

    def _built(self, built: Built) -> None:
        trial = self._in_flight.get(built.id)
        if trial is None:
            return
        if trial.proposal is not None and self._time_is_up():
            del self._in_flight[built.id]
            trial.task.pending -= 1
            return
        trial.steps = replace(built.steps, searched_s=trial.steps.searched_s, proposed_s=trial.steps.proposed_s)
        trial.build_cpu_s = built.cpu_s
        context = trial.context(self._target, self._versions)
        if built.library is None:
            self._stream.record(FailedBuild(built.id, built.outcome, built.detail, self._plan, context))
            return
        task = trial.task
        plan, slowest_s, no_better_s = UNTUNED_PLAN, SLOWEST_UNTUNED_S, 0.0
        if trial.proposal is not None:
            plan, slowest_s, no_better_s = self._plan, slowest_call_s(task), hopeless_s(task)
        request = kernel_request(
            built.id, built.library, task.arguments, plan, slowest_s, no_better_s, params=task.params
        )
        self._stream.measure(Trial(request, context))

    def _measured(self, measurement: Measurement) -> None:
        trial = self._in_flight.pop(measurement.trial_id, None)
        if trial is None:
            return
        if measurement.outcome is Outcome.CANCELLED:
            # The tracker took the job from this worker, and records none of its further trials.
            raise SessionOver("the tracker cancelled this job's trials")
        run_secs = measurement.run_secs if measurement.outcome is Outcome.OK else ()
        if trial.proposal is None:
            trial.task.untuned_done = True
            trial.task.untuned_s = median(run_secs) if run_secs else 0.0
            if not run_secs:
                log.warning("untuned %s: %s %s", trial.task.name, measurement.outcome, measurement.detail)
            return
        trial.task.pending -= 1
        trial.task.count(run_secs)
        learned = Learned(trial.proposal.candidate, run_secs, trial.build_cpu_s)
        self._search.answered(trial.proposal, learned if meaning(measurement.outcome).teaches else None)

    def _keep(self, step: SearchStep | None, proposals: Sequence[Proposal]) -> Mapping[str, Measurement]:
        """The tracker keeps the step. The answer is what the log has of its proposals, as many as the budget allows."""
        steps = Preparation(proposed_s=time.time())
        candidates = tuple(
            RecallCandidate(
                proposal.trial_id,
                InFlight(proposal.task, proposal, steps).context(self._target, self._versions),
                run_timeout_s(slowest_call_s(proposal.task), self._plan),
            )
            for proposal in proposals[: self._room]
        )
        return {known.trial_id: known for known in self._recall(self._plan, candidates, step)}
