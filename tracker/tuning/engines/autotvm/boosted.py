"""``xgb``: simulated annealing over the space under a learned rank model (Chen et al., NeurIPS 2018, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import numpy as np

from tvm_farm.tracker.tuning.engines.autotvm.config_space import ConfigSpace, Point
from tvm_farm.tracker.tuning.engines.autotvm.rank_model import RankModel, Sample
from tvm_farm.tracker.tuning.engines.autotvm.tuners import Lookup, RandomSearch

__all__ = ["BoostedSearch"]

#: Walkers, their steps and the temperature they start at, in scores of the model.
_WALKERS, _STEPS, _HOT = 64, 40, 0.3
#: Programs that are made, a point of the batch, for the model of programs to choose from.
_PLANNED = 3
#: Share of a batch that is drawn at random.
_EPSILON = 0.1
#: What a knob's option that the batch does not hold yet is worth, as a share of the spread of scores.
_DIVERSITY = 0.03


class BoostedSearch:
    """``model`` may be warm from other tasks and classes of device; it is taught by the engine."""

    def __init__(self, space: ConfigSpace, rng: Random, model: RankModel, lookup: Lookup) -> None:
        self._space = space
        self._rng = rng
        self._model = model
        self._lookup = lookup
        self._strangers = RandomSearch(space, rng)
        self._visited: set[Point] = set()
        self._best: dict[Point, float] = {}

    def next(self, count: int) -> list[Point]:
        if not self._model.ready:
            chosen: list[Point] = []
        else:
            blind = sum(self._rng.random() < _EPSILON for _ in range(count))
            chosen = self._choose(self._walk(_PLANNED * count), count - blind)
        self._strangers.tell(chosen, [])
        chosen += self._strangers.next(count - len(chosen)) if len(chosen) < count else []
        self._visited.update(chosen)
        return chosen

    def tell(self, points: Sequence[Point], seconds: Sequence[float]) -> None:
        self._visited.update(points)
        self._strangers.tell(points, seconds)
        self._best.update((p, s) for p, s in zip(points, seconds, strict=True) if math.isfinite(s))

    def _scores(self, points: Sequence[Point]) -> list[float]:
        return [float(s) for s in self._model.knob_scores(self._space.columns, self._space.features(points))]

    def _walk(self, wanted: int) -> list[Point]:
        """The best points that were met and not visited before."""
        fastest = sorted(self._best, key=lambda point: self._best[point])[: _WALKERS // 4]
        drawn = [self._space.sample(self._rng) for _ in range(_WALKERS - len(fastest))]
        walkers = [*fastest, *(point for point in drawn if point is not None)]
        if not walkers:
            return []
        scores = self._scores(walkers)
        met = dict(zip(walkers, scores, strict=True))
        for step in range(_STEPS):
            temperature = _HOT * (1 - step / _STEPS)
            moved = [self._space.neighbour(point, self._rng) or point for point in walkers]
            after = self._scores(moved)
            met.update(zip(moved, after, strict=True))
            for n, (point, score) in enumerate(zip(moved, after, strict=True)):
                gain = score - scores[n]
                if gain >= 0 or (temperature > 0 and self._rng.random() < math.exp(gain / temperature)):
                    walkers[n], scores[n] = point, score
        fresh = [point for point in met if point not in self._visited]
        return sorted(fresh, key=lambda point: -met[point])[:wanted]

    def _choose(self, points: Sequence[Point], count: int) -> list[Point]:
        """Of ``points`` those whose programs are predicted fastest, unlike each other where predictions are close."""
        programs = [(point, self._lookup(point)) for point in points]
        found = [(point, program) for point, program in programs if program is not None]
        self._visited.update(point for point, program in programs if program is None)
        if not found or count <= 0:
            return []
        knobs = self._space.features([point for point, _ in found])
        samples = [Sample(self._space.columns, row, p.features) for row, (_, p) in zip(knobs, found, strict=True)]
        scores = self._model.scores(samples)
        bonus = _DIVERSITY * float(np.ptp(scores))
        left = {point: float(score) for (point, _), score in zip(found, scores, strict=True)}
        chosen: list[Point] = []
        held: set[tuple[int, int]] = set()
        while left and len(chosen) < count:
            best = max(left, key=lambda point: left[point] + bonus * len(set(enumerate(point)) - held))
            del left[best]
            held.update(enumerate(best))
            chosen.append(best)
        return chosen
