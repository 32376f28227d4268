"""Engine ``ansor``: sketches from MetaSchedule's rules, an evolution that never starts over, and a learned cost model.

Ansor (Zheng et al., OSDI 2020) draws sketches from a workload by rules, fills them at random and
evolves them under a cost model. ``tvm.s_tir.meta_schedule``, its successor, does the same and
starts every batch from a new population; making that population costs more than building and
timing the few candidates it yields. Here the population stays: each batch adds a few newcomers,
which descend from the best measured and the best predicted, and all that was ever bred and not
yet measured competes again under what the model has learned since. A task's first population
holds what was fast on its relatives in the same model (``sketch``), and before that what was fast
for the task itself on other classes of device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

import numpy as np
import tvm
from tvm.s_tir import Schedule
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.schedule import Trace

from tvm_farm.tracker.tuning.engines.base import Candidate, Known, Learned, Setting
from tvm_farm.tracker.tuning.engines.cost_model import CostModel, Features
from tvm_farm.tracker.tuning.engines.sketch import Relatives, Sketch, before_postprocessing
from tvm_farm.tracker.tuning.engines.space import Space, apply_trace, trace_json

__all__ = ["AnsorEngine", "Experience", "Maker"]

#: Newcomers of one generation, and generations of one batch: the second descends from what the first found.
_NEWCOMERS = 18
_GENERATIONS = 2
#: Unmeasured individuals that live on from batch to batch.
_POPULATION = 96
#: Share of newcomers drawn at random, at first and once this many were measured.
_RANDOM_AT_FIRST, _RANDOM_LATER, _SEASONED = 0.5, 0.25, 24
#: Share of a batch that is not the model's choice.
_BLIND = 0.12
#: What twice the time to build must be made up for by, as log2 of the predicted speed: 7 %. Builders are what a search
#: waits for, and unrolling takes theirs sooner than it brings anything.
_HASTE = 0.1
#: Relatives' schedules tried in a task's first batch, and how many of that batch at most.
_ADOPTED, _ADOPTED_SHARE = 16, 0.75
#: Schedules that were best on other classes of device and are measured before others.
_FOREIGN = 8
_NO_FEATURES: Features = np.zeros((0, 0), dtype=np.float32)
#: Attempts at a newcomer before the space counts as exhausted.
_ATTEMPTS = 60


class Experience:
    """What the tasks of one job learn together: the cost model and each other's best schedules."""

    def __init__(self, threads: int, seed: int) -> None:
        self.cost_model = CostModel(threads, seed)
        self.relatives = Relatives()


@dataclass(eq=False)
class _Individual:
    """A point of the space. ``seconds`` is infinite where it failed, None before it was measured."""

    key: str
    trace: Trace
    features: Features
    score: float = 0.0
    adopted: bool = False
    seconds: float | None = None


class AnsorEngine:
    """The search for one task; see ``Engine``. Equal seeds and reports give equal proposals."""

    def __init__(
        self, module: tvm.ir.IRModule, target: tvm.target.Target, name: str, experience: Experience, *, seed: int
    ) -> None:
        self._module = module
        self._task = str(ms.utils.shash2hex(module))
        self._space = Space(module, target, name, seed)
        self._experience = experience
        self._rng = Random(seed)
        self._seen: set[str] = set()
        self._proposed: dict[str, _Individual] = {}
        self._population: list[_Individual] = []
        self._measured: list[_Individual] = []
        self._foreign: list[_Individual] = []
        self._adopted = False

    def propose(self, count: int) -> list[Candidate]:
        if not self._adopted:
            self._adopted = True
            self._adopt()
        for _ in range(_GENERATIONS):
            self._breed()
            self._judge()
            del self._population[_POPULATION:]
        chosen = self._choose(count)
        self._proposed.update((individual.key, individual) for individual in chosen)
        return [self._candidate(individual) for individual in chosen]

    def report(self, results: Sequence[Learned]) -> None:
        learned, build_s = [], []
        for result in results:
            individual = self._proposed.get(result.candidate.key)
            if individual is not None and individual.seconds is None:
                individual.seconds = min(result.run_secs, default=math.inf)
                learned.append(individual)
                build_s.append(result.build_s)
        self._learn(learned)
        self._experience.cost_model.learn_builds([individual.features for individual in learned], build_s)

    def replay(self, trace: str, run_secs: tuple[float, ...]) -> bool:
        try:
            schedule = apply_trace(self._module, trace)
        except Exception:  # noqa: BLE001 - a trace of another workload fails in whatever way its first misfit does
            return False
        individual = self._meet(schedule) or self._unmeasured(schedule)
        if individual is not None:
            individual.features = self._space.features([schedule])[0]
            individual.seconds = min(run_secs, default=math.inf)
            self._proposed[individual.key] = individual
            self._learn([individual])
        return True

    def begin_with(self, known: Sequence[Known]) -> list[Known]:
        applied: list[Known] = []
        by_class: dict[str, list[Schedule]] = {}
        for each in sorted(known, key=lambda each: each.seconds):
            if each.workload:
                trace = before_postprocessing(each.trace)
                self._experience.relatives.add(each.workload, trace, each.seconds, each.device_class)
                applied.append(each)
                continue
            try:
                schedule = apply_trace(self._module, each.trace)
                [features] = self._space.features([schedule])
            except Exception:  # noqa: BLE001 - as in replay: what another target's rules made need not fit here
                continue
            applied.append(each)
            by_class.setdefault(each.device_class, []).append(schedule)
            # A task of its own: another machine's seconds say how its schedules compare, nothing of this one's.
            self._experience.cost_model.learn(f"{self._task} on {each.device_class}", [features], [each.seconds])
            trace = trace_json(schedule.trace, before_postprocessing=True)
            self._experience.relatives.add(self._task, trace, each.seconds, each.device_class)
        # The best of each class, then the second best of each.
        ranks = zip_longest(*(schedules[:_FOREIGN] for schedules in by_class.values()))
        best = [schedule for rank in ranks for schedule in rank if schedule is not None]
        self._foreign = self._add(best[:_FOREIGN])
        return applied

    # -- learning

    def _learn(self, individuals: Sequence[_Individual]) -> None:
        if not individuals:
            return
        times = [math.inf if i.seconds is None else i.seconds for i in individuals]
        self._experience.cost_model.learn(self._task, [i.features for i in individuals], times)
        for individual, seconds in zip(individuals, times, strict=True):
            if math.isfinite(seconds):
                self._measured.append(individual)
                best = trace_json(individual.trace, before_postprocessing=True)
                self._experience.relatives.add(self._task, best, seconds)
        self._measured.sort(key=lambda individual: individual.seconds or 0.0)

    # -- the population

    def _adopt(self) -> None:
        """Bring in what was fast on tasks of the same form."""
        schedules = []
        for sketch in self._sketches():
            for relative in self._experience.relatives.of(self._task, sketch)[:_ADOPTED]:
                decisions = sketch.adopt(relative.sketch)
                if decisions is not None:
                    schedules.append(self._space.decided(sketch, decisions, self._rng))
        self._add([schedule for schedule in schedules if schedule is not None], adopted=True)

    def _sketches(self) -> list[Sketch]:
        """One point of each form of this task's space."""
        forms: dict[str, Sketch] = {}
        for _ in range(2 * len(self._space)):
            schedule = self._space.sample(self._rng)
            if schedule is not None:
                sketch = Sketch.of(trace_json(schedule.trace, before_postprocessing=True))
                forms.setdefault(sketch.family, sketch)
        return list(forms.values())

    def _breed(self) -> None:
        newcomers: list[Schedule] = []
        random_share = _RANDOM_LATER if len(self._measured) >= _SEASONED else _RANDOM_AT_FIRST
        parents = self._parents()
        for _ in range(_ATTEMPTS):
            if len(newcomers) >= _NEWCOMERS:
                break
            if not parents or self._rng.random() < random_share:
                schedule = self._space.sample(self._rng)
            else:
                schedule = self._space.mutate(self._rng.choice(parents).trace, self._rng)
            if schedule is not None:
                newcomers.append(schedule)
        self._add(newcomers)

    def _parents(self) -> list[_Individual]:
        """The best measured and the best predicted, the best of either most often."""
        fittest = self._measured[: max(4, len(self._measured) // 8)] or self._foreign
        promising = self._population[: len(fittest)] if self._proposed else []
        return [*fittest, *fittest[:3], *promising, *promising[:3]]

    def _add(self, schedules: Sequence[Schedule], adopted: bool = False) -> list[_Individual]:
        """Those of ``schedules`` that are new, now in the population."""
        met = [(self._meet(schedule), schedule) for schedule in schedules]
        fresh = [(individual, schedule) for individual, schedule in met if individual is not None]
        features = self._space.features([schedule for _, schedule in fresh]) if fresh else []
        for (individual, _), rows in zip(fresh, features, strict=True):
            individual.features = rows
            individual.adopted = adopted
            self._population.append(individual)
        return [individual for individual, _ in fresh]

    def _meet(self, schedule: Schedule) -> _Individual | None:
        """The individual that ``schedule`` is; None for one seen before."""
        key = str(ms.utils.shash2hex(schedule.mod))
        if key in self._seen:
            return None
        self._seen.add(key)
        return _Individual(key, schedule.trace, _NO_FEATURES)

    def _unmeasured(self, schedule: Schedule) -> _Individual | None:
        """The individual that ``schedule`` is, no more of the population; None where it was measured."""
        key = str(ms.utils.shash2hex(schedule.mod))
        self._population, met = (
            [individual for individual in self._population if individual.key != key],
            [individual for individual in self._population if individual.key == key],
        )
        proposed = self._proposed.get(key)
        return met[0] if met else proposed if proposed is not None and proposed.seconds is None else None

    def _judge(self) -> None:
        """Order the population, the most promising first."""
        features = [individual.features for individual in self._population]
        scores = self._experience.cost_model.scores(features)
        if scores is not None and (costs := self._experience.cost_model.build_costs(features)) is not None:
            scores = scores - _HASTE * costs
        for number, individual in enumerate(self._population):
            individual.score = self._rng.random() if scores is None else float(scores[number])
        self._population.sort(key=lambda individual: -individual.score)

    def _choose(self, count: int) -> list[_Individual]:
        adopted = [i for i in self._population if i.adopted]
        first = [*self._foreign, *(adopted if not self._measured else [])]
        chosen = first[: math.ceil(_ADOPTED_SHARE * count)]
        self._foreign = self._foreign[len(chosen) :]
        blind = min(len(self._population) - count, round(_BLIND * count))
        for individual in self._population:
            if len(chosen) >= count - max(0, blind):
                break
            if individual not in chosen:
                chosen.append(individual)
        rest = [individual for individual in self._population if individual not in chosen]
        chosen += self._rng.sample(rest, min(len(rest), count - len(chosen)))
        taken = {individual.key for individual in chosen}
        self._population = [individual for individual in self._population if individual.key not in taken]
        return chosen

    def _candidate(self, individual: _Individual) -> Candidate:
        trace = trace_json(individual.trace)
        scheduled = apply_trace(self._module, trace).mod
        return Candidate(individual.key, trace, tvm.ir.save_json(scheduled))


class Maker:
    """See ``base.Maker``."""

    def __init__(self, setting: Setting, variant: str) -> None:
        self._setting = setting
        self._experience = Experience(threads=1, seed=setting.seed)

    def space(self, module: tvm.ir.IRModule, name: str) -> str:
        return ""

    def new(self, module: tvm.ir.IRModule, name: str, seed: int) -> AnsorEngine:
        return AnsorEngine(module, self._setting.target, name, self._experience, seed=seed)
