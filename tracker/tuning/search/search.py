"""The steps of a job's search: learn, propose, and tell the tracker, which answers what the log has.

An engine's proposals follow from the results it was told and their order. So the steps that the tracker keeps bring a
new engine to the same point: after a worker's death, when an ended job goes on, and where a job asks for the search of
another job, whose candidates are all in the log.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tvm_farm.tracker.domain import Lesson, Measurement, Outcome, PastSearch, Record, SearchStep, new_trial_id
from tvm_farm.tracker.domain.outcomes import meaning
from tvm_farm.tracker.tuning.engines.base import Candidate, Engine, Known, Learned
from tvm_farm.tracker.tuning.search.task_state import TaskState
from tvm_farm.tracker.tuning.search.transfer import known_of

__all__ = ["Proposal", "Proposed", "Retraced", "Script", "Search"]

log = logging.getLogger(__name__)

_LONGEST_REASON = 300


@dataclass(frozen=True)
class Proposal:
    """A candidate of ``task``."""

    task: TaskState
    trial_id: str
    #: Counts the candidates of a job from 0.
    number: int
    candidate: Candidate


@dataclass(frozen=True)
class Proposed:
    """The proposals of one search."""

    task: TaskState
    proposals: tuple[Proposal, ...]
    #: How long the search took.
    seconds: float
    #: Measurements that the log has of the proposals, by trial id.
    known: Mapping[str, Measurement] = field(default_factory=dict)


@dataclass(frozen=True)
class Retraced:
    """The search is where it was."""

    #: Proposals without a record.
    unmeasured: tuple[Proposal, ...]
    #: As in Proposed.
    known: Mapping[str, Measurement] = field(default_factory=dict)


@dataclass(frozen=True)
class Script:
    """Steps to be made again."""

    steps: tuple[PastSearch, ...] = ()
    #: Whether the steps are the job's own and not those of another job.
    own: bool = False
    #: Records of the job's own steps by trial id, in their order. Empty for another job's steps: the log is asked for
    #: each candidate.
    results: Mapping[str, Record] = field(default_factory=dict)


class Search:
    """The engines of a job's tasks. One thread at a time calls ``propose`` and ``retrace``; any thread the others.

    ``keep`` is called with each step and its proposals before these go anywhere, and returns what the log knows of
    them, by trial id. Without a step ``keep`` is asked about earlier proposals.
    """

    def __init__(
        self,
        tasks: Sequence[TaskState],
        keep: Callable[[SearchStep | None, Sequence[Proposal]], Mapping[str, Measurement]],
        script: Script | None = None,
    ) -> None:
        self._tasks = tasks
        self._places = {task.id: place for place, task in enumerate(tasks)}
        self._keep = keep
        script = script or Script()
        self._own = script if script.own else Script()
        self._ahead = [] if script.own else list(reversed(script.steps))
        self._steps = itertools.count(len(self._own.steps))
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._unlearned: dict[int, tuple[TaskState, Learned]] = {}

    @property
    def retraces(self) -> bool:
        """Whether steps of this job are to be made again before anything else."""
        return bool(self._own.steps)

    def answered(self, proposal: Proposal, learned: Learned | None) -> None:
        """The result of a proposal, None where the result teaches nothing. Learned before the next proposals."""
        with self._lock:
            self._open.discard(proposal.number)
            if learned is not None:
                self._unlearned[proposal.number] = (proposal.task, learned)

    def ahead(self) -> PastSearch | None:
        """The step of another job that is to be made next. Not to be called during a search."""
        if self._ahead and self._missing(self._ahead[-1].step) - self._open:
            log.info("results differ from those of job %s: its steps are followed no further", self._ahead[-1].job_id)
            self._ahead.clear()
        return self._ahead[-1] if self._ahead else None

    def awaits(self, past: PastSearch) -> bool:
        """Whether this step learns from a proposal that is not answered yet."""
        return bool(self._missing(past.step))

    def _missing(self, step: SearchStep) -> set[int]:
        with self._lock:
            return {lesson.candidate for lesson in step.learned} - self._unlearned.keys()

    # -- in the search thread

    def propose(self, task: TaskState, count: int, past: PastSearch | None = None) -> Proposed:
        """Learn all results, then search. With ``past``, the step ahead, do exactly what that step did."""
        began = time.monotonic()
        if past is not None:
            self._ahead.pop()
        lessons = self._learn(self._everything() if past is None else past.step.learned)
        candidates, taught = self._search(task, count, past)
        proposals = tuple(
            Proposal(task, new_trial_id(time.time()), next(self._numbers), candidate) for candidate in candidates
        )
        ids = tuple(proposal.trial_id for proposal in proposals)
        step = SearchStep(next(self._steps), self._places[task.id], count, tuple(lessons), ids, taught)
        with self._lock:
            self._open.update(proposal.number for proposal in proposals)
        known = self._keep(step, proposals)
        return Proposed(task, proposals, time.monotonic() - began, known)

    def retrace(self) -> Retraced:
        """Make the job's own steps again. Each proposes what it proposed before; the records have the results."""
        results, unmeasured = dict(self._own.results), []
        numbers = {}
        for past in self._own.steps:
            step, task = past.step, self._tasks[past.step.task]
            astray = bool(self._missing(step))
            if not astray:
                self._learn(step.learned)
                candidates, _ = self._search(task, step.count, past)
                task.exhausted = not candidates
                astray = not _same(candidates, step.proposed, results)
            if astray:
                log.warning("step %d of the search is not as it was: the records are learned from as they are",
                            step.number)  # fmt: skip
                self._replay(results.values())
                self._numbers = itertools.count(sum(len(past.step.proposed) for past in self._own.steps))
                break
            for trial_id, candidate in zip(step.proposed, candidates, strict=True):
                proposal = Proposal(task, trial_id, next(self._numbers), candidate)
                record = results.pop(trial_id, None)
                if record is None:
                    unmeasured.append(proposal)
                    self._open.add(proposal.number)
                elif meaning(record.measurement.outcome).teaches:
                    numbers[trial_id] = proposal.number
                    self._unlearned[proposal.number] = (task, Learned(candidate, _run_secs(record)))
        # No step learned the last results. They are learned in the order of the records, as they would have been.
        order = [numbers[trial_id] for trial_id in self._own.results if numbers.get(trial_id) in self._unlearned]
        self._unlearned = {number: self._unlearned[number] for number in order}
        self._own = Script()
        return Retraced(tuple(unmeasured), self._keep(None, unmeasured) if unmeasured else {})

    def _replay(self, records: Iterable[Record]) -> None:
        by_id = {task.id: task for task in self._tasks}
        for record in records:
            task = by_id.get(record.task_id)
            if task is None or not record.trace:
                continue
            if task.engine is None:
                task.replays.append((record.trace, _run_secs(record)))
            else:
                task.engine.replay(record.trace, _run_secs(record))

    def _search(self, task: TaskState, count: int, past: PastSearch | None) -> tuple[list[Candidate], tuple[str, ...]]:
        """Candidates, and, at the start of a task's search, the trials of others that the search began with."""
        taught: tuple[str, ...] = ()
        try:
            if task.engine is None:
                engine = self._begun(task)
                known = task.known_elsewhere() if past is None else known_of(past.taught, task.workload)
                taught = tuple(each.trial_id for each in known)
                self._teach(task, engine, known)
                task.engine = engine
            return task.engine.propose(count), taught
        except Exception as error:
            # An operator that MetaSchedule cannot search must not cost the job its other tasks.
            log.exception("%s cannot be searched", task.name)
            task.fault = f"{type(error).__name__}: {_reason(error)}"
            return [], taught

    def _begun(self, task: TaskState) -> Engine:
        engine = task.new_engine()
        for trace, run_secs in task.replays:
            if not engine.replay(trace, run_secs):
                log.warning("%s: a record's trace does not apply any more and is not learned from", task.name)
        task.replays.clear()
        return engine

    def _teach(self, task: TaskState, engine: Engine, known: Sequence[Known]) -> None:
        applied = engine.begin_with(known) if known else []
        task.taught_by = frozenset(each.device_class for each in applied)
        if misfits := len([each for each in known if not each.workload and each not in applied]):
            log.warning("%s: %d of %d traces of others do not apply here", task.name, misfits, len(known))

    def _everything(self) -> list[Lesson]:
        """All results that are not learned yet, task by task."""
        with self._lock:
            answers = [(self._places[task.id], n, learned) for n, (task, learned) in self._unlearned.items()]
        answers.sort(key=lambda answer: answer[0])
        return [Lesson(number, learned.build_s) for _, number, learned in answers]

    def _learn(self, lessons: Sequence[Lesson]) -> Sequence[Lesson]:
        with self._lock:
            answers = [(*self._unlearned.pop(lesson.candidate), lesson.build_s) for lesson in lessons]
        for _, group in itertools.groupby(answers, key=lambda answer: answer[0].id):
            results = [(task, Learned(each.candidate, each.run_secs, build_s)) for task, each, build_s in group]
            task = results[0][0]
            if task.engine is None:
                continue
            try:
                task.engine.report([learned for _, learned in results])
            except Exception:
                log.exception("%s: %d results could not be learned from", task.name, len(results))
        return lessons


def _run_secs(record: Record) -> tuple[float, ...]:
    return record.measurement.run_secs if record.measurement.outcome is Outcome.OK else ()


def _same(candidates: Sequence[Candidate], proposed: Sequence[str], results: Mapping[str, Record]) -> bool:
    """Whether ``candidates`` equal the earlier trials ``proposed``, as far as these have records."""
    if len(candidates) != len(proposed):
        return False
    pairs = zip(candidates, proposed, strict=True)
    return all(trial_id not in results or results[trial_id].trace == candidate.trace for candidate, trial_id in pairs)


def _reason(error: Exception) -> str:
    """The last sentence of ``error``. TVM writes places in its source and whole programs before that sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = lines[-1].removeprefix("Error message: ") if lines else "no reason given"
    sentence, _, _ = told.partition(" List of the ")  # addresses of blocks tell a person nothing
    return sentence[:_LONGEST_REASON].rstrip(". ")
