"""``ga``: the best points' knobs are mixed and now and then changed (TVM's former ``autotvm/tuner/ga_tuner.py``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from tvm_farm.tracker.tuning.engines.autotvm.config_space import ConfigSpace, Point
from tvm_farm.tracker.tuning.engines.autotvm.tuners import RandomSearch

__all__ = ["GeneticSearch"]

#: Measured points that have descendants; random ones before that.
_ELITE, _FIRST = 12, 16
_MUTATION = 0.1
_ATTEMPTS = 60


class GeneticSearch:
    """Parents are drawn by rank: of twelve the fastest has six times the children of the slowest."""

    def __init__(self, space: ConfigSpace, rng: Random) -> None:
        self._space = space
        self._rng = rng
        self._newcomers = RandomSearch(space, rng)
        self._visited: set[Point] = set()
        self._measured: dict[Point, float] = {}

    def next(self, count: int) -> list[Point]:
        ran = sorted((seconds, point) for point, seconds in self._measured.items() if math.isfinite(seconds))
        children: list[Point] = []
        if len(self._measured) >= _FIRST and len(ran) >= 2:
            elite = [point for _, point in ran[:_ELITE]]
            weights = [1.0 / (2 + rank) for rank in range(len(elite))]
            for _ in range(_ATTEMPTS * count):
                if len(children) >= count:
                    break
                mother, father = self._rng.choices(elite, weights, k=2)
                child = self._child(mother, father)
                if child not in self._visited and self._space.valid(child):
                    self._visited.add(child)
                    children.append(child)
        self._newcomers.tell(children, [])
        strangers = self._newcomers.next(count - len(children)) if len(children) < count else []
        self._visited.update(strangers)
        return children + strangers

    def _child(self, mother: Point, father: Point) -> Point:
        options = [self._rng.choice(pair) for pair in zip(mother, father, strict=True)]
        for n, knob in enumerate(self._space.knobs):
            if self._rng.random() < _MUTATION:
                options[n] = self._rng.randrange(len(knob.options))
        return tuple(options)

    def tell(self, points: Sequence[Point], seconds: Sequence[float]) -> None:
        self._measured.update(zip(points, seconds, strict=True))
        self._visited.update(points)
        self._newcomers.tell(points, seconds)
