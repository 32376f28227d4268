"""Where a job's time went: the steps of its trials, added up and laid over each other."""

from __future__ import annotations

import statistics
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from tvm_farm.protos.measurement import Outcome, Timeline

__all__ = ["DeviceTime", "JobTimeline", "OutcomeCount", "Step", "StepTime", "TimelineSums", "TrialTimes", "spans"]


class Step(str, Enum):
    """What a trial goes through, in order."""

    SEARCH = "search"
    AWAIT_BUILDER = "await builder"
    BUILD = "build"
    LINK = "link"
    HAND_OVER = "hand over"
    QUEUE = "queue"
    TRANSFER = "transfer"
    AWAIT_BOARD = "await board"
    DEVICE = "device"
    STORE = "store"


@dataclass(frozen=True)
class TrialTimes:
    """What a record says of its trial's time. ``tuned``: it was a candidate, not a task's untuned baseline.
    ``recalled``: the log answered it.
    """

    timeline: Timeline
    outcome: Outcome
    tuned: bool = True
    cut_short: bool = False
    device_name: str = ""
    recalled: bool = False


@dataclass(frozen=True)
class StepTime:
    """One step over all trials that went through it. Seconds.

    ``total_s`` adds up trials that were in it at the same time; ``wall_s`` is how long any trial was in it at all.
    ``median_s`` and ``p95_s`` are of one trial.
    """

    step: Step
    trials: int
    total_s: float
    median_s: float
    p95_s: float
    wall_s: float


@dataclass(frozen=True)
class DeviceTime:
    """What one device did for the job. ``executing_s`` is by its own clock."""

    name: str
    trials: int
    executing_s: float


@dataclass(frozen=True)
class OutcomeCount:
    outcome: Outcome
    trials: int


@dataclass(frozen=True)
class JobTimeline:
    """A job's trials and where their time went; of a running job, so far.

    ``wall_s``: how long any trial was on its way, baselines too, from its search or proposal until it was stored; what
    a job rested before it was resumed is left out. ``tuning_s``: the same of candidates alone. ``builders``: the most
    that were seen at work at once; ``building_s``: what they worked in all. ``outcomes``, ``cut_short`` and
    ``recalled``, those from the log, count candidates.
    """

    wall_s: float = 0.0
    tuning_s: float = 0.0
    trials: int = 0
    baselines: int = 0
    cut_short: int = 0
    outcomes: tuple[OutcomeCount, ...] = ()
    steps: tuple[StepTime, ...] = ()
    devices: tuple[DeviceTime, ...] = ()
    builders: int = 0
    building_s: float = 0.0
    recalled: int = 0


def spans(t: Timeline) -> Iterator[tuple[Step, float, float]]:
    """Each step with its begin and end. One that did not happen, or that clocks turned round, is left out.

    The board's clock may be anywhere: what it says counts as lengths alone. What is left of the tracker's time from
    sending the order to having the answer is the way there and back, half of it before and half after. The tuning
    worker's clock is taken to agree with the tracker's where a candidate is handed over.
    """
    found = [
        (Step.SEARCH, t.searched_s, t.proposed_s),
        (Step.AWAIT_BUILDER, t.proposed_s, t.building_s),
        (Step.BUILD, t.building_s, t.compiled_s or t.built_s),
        (Step.LINK, t.compiled_s, t.built_s),
        (Step.HAND_OVER, t.built_s, t.queued_s),
        (Step.QUEUE, t.queued_s, t.sent_s),
        *_on_the_board(t),
        (Step.STORE, t.answered_s, t.stored_s),
    ]
    # A trial that a board takes at once is queued for no time, and that counts.
    return (span for span in found if 0 < span[1] < span[2] or (span[0] is Step.QUEUE and 0 < span[1] == span[2]))


def _on_the_board(t: Timeline) -> list[tuple[Step, float, float]]:
    if not (t.sent_s and t.started_s and t.finished_s and t.answered_s):
        return []
    # An agent that does not tell when it had everything waited on the way.
    waited_s = max(0.0, t.started_s - (t.received_s or t.started_s))
    executed_s = max(0.0, t.finished_s - t.started_s)
    there_s = max(0.0, t.answered_s - t.sent_s - waited_s - executed_s) / 2
    received, started = t.sent_s + there_s, t.sent_s + there_s + waited_s
    finished = started + executed_s
    return [
        (Step.TRANSFER, t.sent_s, received),
        (Step.AWAIT_BOARD, received, started),
        (Step.DEVICE, started, finished),
        (Step.TRANSFER, finished, t.answered_s),
    ]


class TimelineSums:
    """Adds up trials one by one, in any order: about 300 bytes a trial, whatever their number."""

    def __init__(self) -> None:
        self._lengths = {step: array("d") for step in Step}
        self._begins = {step: array("d") for step in Step}
        self._ends = {step: array("d") for step in Step}
        self._building = (array("d"), array("d"))
        self._building_s = 0.0
        self._devices: dict[str, list[float]] = {}
        self._outcomes: Counter[Outcome] = Counter()
        self._trials = (array("d"), array("d"))
        self._tuned = (array("d"), array("d"))
        self._baselines = 0
        self._cut_short = 0
        self._recalled = 0

    def add(self, trials: Iterable[TrialTimes]) -> None:
        for trial in trials:
            self._add(trial)

    def _add(self, trial: TrialTimes) -> None:
        t = trial.timeline
        lengths: dict[Step, float] = {}
        for step, begin, end in spans(t):
            lengths[step] = lengths.get(step, 0.0) + end - begin
            self._begins[step].append(begin)
            self._ends[step].append(end)
        for step, length in lengths.items():
            self._lengths[step].append(length)
        if 0 < t.building_s < t.built_s:
            self._building[0].append(t.building_s)
            self._building[1].append(t.built_s)
            self._building_s += t.built_s - t.building_s
        if trial.device_name and t.started_s:
            sums = self._devices.setdefault(trial.device_name, [0, 0.0])
            sums[0] += 1
            sums[1] += max(0.0, t.finished_s - t.started_s)
        begin = t.searched_s or t.proposed_s or t.queued_s
        if 0 < begin <= t.stored_s:
            for begins, ends in (self._trials, self._tuned)[: 1 + trial.tuned]:
                begins.append(begin)
                ends.append(t.stored_s)
        if trial.tuned:
            self._outcomes[trial.outcome] += 1
            self._cut_short += trial.cut_short
            self._recalled += trial.recalled
        else:
            self._baselines += 1

    def result(self) -> JobTimeline:
        """Of all that was added so far."""
        begins, ends = (sorted(times) for times in self._building)
        return JobTimeline(
            wall_s=_covered(*self._trials),
            tuning_s=_covered(*self._tuned),
            trials=self._outcomes.total(),
            baselines=self._baselines,
            cut_short=self._cut_short,
            outcomes=tuple(OutcomeCount(o, n) for o, n in self._outcomes.most_common()),
            steps=tuple(self._step(step) for step in Step if self._lengths[step]),
            devices=tuple(DeviceTime(name, int(n), s) for name, (n, s) in sorted(self._devices.items())),
            builders=_most_at_once(begins, ends),
            building_s=self._building_s,
            recalled=self._recalled,
        )

    def _step(self, step: Step) -> StepTime:
        lengths = sorted(self._lengths[step])
        total_s = sum(lengths)
        # A search is shared out evenly over what it found: its shares follow each other, they do not overlap.
        wall_s = total_s if step is Step.SEARCH else _covered(self._begins[step], self._ends[step])
        p95_s = lengths[min(len(lengths) - 1, int(0.95 * len(lengths)))]
        return StepTime(step, len(lengths), total_s, statistics.median(lengths), p95_s, wall_s)


def _covered(begins: Iterable[float], ends: Iterable[float]) -> float:
    """Length of the union of intervals."""
    covered, until = 0.0, float("-inf")
    for begin, end in sorted(zip(begins, ends, strict=True)):
        if end > until:
            covered += end - max(begin, until)
            until = end
    return covered


def _most_at_once(begins: list[float], ends: list[float]) -> int:
    """The most intervals that share a moment; one may begin where another ends. Both lists are sorted."""
    most = ended = 0
    for begun, begin in enumerate(begins, 1):
        while ends[ended] <= begin:
            ended += 1
        most = max(most, begun - ended)
    return most
