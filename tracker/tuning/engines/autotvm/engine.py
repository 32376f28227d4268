"""Engine ``autotvm``: a template with named knobs, and a strategy that sets them.

Where ``ansor`` derives a space from rules, here somebody wrote down how this kind of nest is
scheduled, and what is left open is a few knobs. Such a space is smaller by orders of magnitude and
nearly every point of it is sound, which pays when few candidates can be measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from random import Random

import tvm
from tvm.s_tir import meta_schedule as ms

from tvm_farm.tracker.tuning.engines.autotvm.boosted import BoostedSearch
from tvm_farm.tracker.tuning.engines.autotvm.config_space import ConfigSpace, Point
from tvm_farm.tracker.tuning.engines.autotvm.errors import InvalidPoint
from tvm_farm.tracker.tuning.engines.autotvm.genetic import GeneticSearch
from tvm_farm.tracker.tuning.engines.autotvm.programs import Program, Programs
from tvm_farm.tracker.tuning.engines.autotvm.rank_model import RankModel, Sample
from tvm_farm.tracker.tuning.engines.autotvm.template import Template, registered
from tvm_farm.tracker.tuning.engines.autotvm.tuners import GridSearch, Lookup, RandomSearch, Tuner
from tvm_farm.tracker.tuning.engines.base import Candidate, Known, Learned

__all__ = ["TUNERS", "AutoTvmEngine", "Experience", "describe"]

#: Schedules of other classes of device that are measured before others, and how many of the first batch at most.
_FOREIGN, _FOREIGN_SHARE = 8, 0.75
#: Of these refitted ones of other shapes.
_NEAR = 4
#: Points in a row without a valid program after which a template counts as broken.
_REFUSED = 64


class Experience:
    """What the tasks of one job learn together."""

    def __init__(self, threads: int, seed: int) -> None:
        self.model = RankModel(threads, seed)


_Make = Callable[[ConfigSpace, Random, RankModel, Lookup], Tuner]
TUNERS: dict[str, _Make] = {
    "xgb": BoostedSearch,
    "ga": lambda space, rng, model, lookup: GeneticSearch(space, rng),
    "random": lambda space, rng, model, lookup: RandomSearch(space, rng),
    "gridsearch": lambda space, rng, model, lookup: GridSearch(space),
}


def describe(module: tvm.ir.IRModule, target: tvm.target.Target, name: str, templates: Sequence[Template] = ()) -> str:
    """The template and the knobs of a task as JSON; see ``AutoTvmEngine`` for arguments and errors.

    A few points are tried out. Where none gives a schedule, a person's own template is at fault; one of the farm's is
    taken for one that does not match.
    """
    programs = Programs(module, target, name, [*registered(), *templates])
    programs.try_out()
    return programs.describe()


class AutoTvmEngine:
    """The search for one task; see ``Engine``. Equal seeds and reports give equal proposals.

    ``tuner``: a name of TUNERS. ``templates``: a person's own, which win over the farm's where they are as specific.
    Raises NoTemplate where none matches, and TemplateError.
    """

    def __init__(
        self,
        module: tvm.ir.IRModule,
        target: tvm.target.Target,
        name: str,
        experience: Experience,
        *,
        seed: int,
        tuner: str = "xgb",
        templates: Sequence[Template] = (),
    ) -> None:
        self._programs = Programs(module, target, name, [*registered(), *templates])
        self._task = str(ms.utils.shash2hex(module))
        self._model = experience.model
        self._made: dict[Point, Program] = {}
        self._refusals = 0
        self._seen: set[str] = set()
        self._foreign: list[tuple[Program, Point | None]] = []
        self._proposed: dict[str, tuple[Program, Point | None]] = {}
        self._reported: set[str] = set()
        self._tuner = TUNERS[tuner](self.space, Random(seed), self._model, self._program)

    @property
    def space(self) -> ConfigSpace:
        return self._programs.space

    def propose(self, count: int) -> list[Candidate]:
        at_most = math.ceil(_FOREIGN_SHARE * count)
        chosen, self._foreign = self._foreign[:at_most], self._foreign[at_most:]
        while len(chosen) < count:
            points = self._tuner.next(count - len(chosen))
            if not points:
                break
            for point in points:
                program = self._program(point)
                if program is not None and program.key not in self._seen:
                    self._seen.add(program.key)
                    chosen.append((program, point))
        self._proposed.update((program.key, (program, point)) for program, point in chosen)
        return [self._programs.candidate(program) for program, _ in chosen]

    def report(self, results: Sequence[Learned]) -> None:
        for result in results:
            key = result.candidate.key
            if key in self._proposed and key not in self._reported:
                self._reported.add(key)
                program, point = self._proposed[key]
                self._learn(self._task, program, point, min(result.run_secs, default=math.inf))

    def replay(self, trace: str, run_secs: tuple[float, ...]) -> bool:
        try:
            program, point = self._programs.replayed(trace)
        except Exception:  # noqa: BLE001 - a trace of another workload fails in whatever way its first misfit does
            return False
        if program.key not in self._seen:
            self._seen.add(program.key)
            self._learn(self._task, program, point, min(run_secs, default=math.inf))
        return True

    def begin_with(self, known: Sequence[Known]) -> list[Known]:
        applied: list[Known] = []
        by_class: dict[str, list[tuple[Program, Point | None]]] = {}
        near: list[tuple[Program, Point | None]] = []
        for each in sorted(known, key=lambda each: each.seconds):
            if each.workload:
                # Of another shape the best alone are known: they say where to begin, and a model that learned from
                # them takes every point for a good one.
                point = self._programs.point_like(each.trace)
                if point is not None:
                    applied.append(each)
                    program = self._program(point)
                    near += [(program, point)] if program is not None else []
                continue
            try:
                program, point = self._programs.replayed(each.trace)
            except Exception:  # noqa: BLE001 - as in replay: what fits another target need not fit here
                continue
            applied.append(each)
            by_class.setdefault(each.device_class, []).append((program, point))
            # A group of its own: another machine's seconds say how its schedules compare, nothing of this one's.
            self._model.learn(f"{self._task} on {each.device_class}", [self._sample(program, point)], [each.seconds])
        ranks = zip_longest(*(programs[:_FOREIGN] for programs in by_class.values()))
        self._lead([pair for rank in ranks for pair in rank if pair is not None], _FOREIGN)
        self._lead(near, _NEAR)
        return applied

    def _lead(self, programs: Sequence[tuple[Program, Point | None]], most: int) -> None:
        """Measure those of ``programs`` first that are new, ``most`` of them."""
        fresh = {program.key: (program, point) for program, point in programs if program.key not in self._seen}
        chosen = dict(list(fresh.items())[: max(0, min(most, _FOREIGN - len(self._foreign)))])
        self._seen.update(chosen)
        self._foreign += chosen.values()

    # -- parts

    def _learn(self, group: str, program: Program, point: Point | None, seconds: float) -> None:
        self._model.learn(group, [self._sample(program, point)], [seconds])
        if point is not None:
            self._tuner.tell([point], [seconds])

    def _sample(self, program: Program, point: Point | None) -> Sample:
        knobs = self.space.features([] if point is None else [point])
        return Sample(() if point is None else self.space.columns, knobs[:1].reshape(-1), program.features)

    def _program(self, point: Point) -> Program | None:
        """None where the point's schedule is refused, or was seen before. Raises TemplateError where every one is."""
        if point not in self._made:
            try:
                self._made[point] = self._programs.realize(point)
            except InvalidPoint as error:
                self._refusals += 1
                if self._refusals >= _REFUSED and not self._made:
                    raise self._programs.without_schedules(error) from error
                return None
        program = self._made[point]
        return None if program.key in self._seen else program
