"""Strategies over a ConfigSpace: which points come next. ``random`` and ``gridsearch`` do without what was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from tvm_farm.tracker.tuning.engines.autotvm.config_space import ConfigSpace, Point
from tvm_farm.tracker.tuning.engines.autotvm.programs import Program

__all__ = ["GridSearch", "Lookup", "RandomSearch", "Tuner"]

#: The program of a point; None where it has none, or one that another point has too.
Lookup = Callable[[Point], Program | None]
#: Draws for one point until the space counts as exhausted.
_ATTEMPTS = 40


class Tuner(Protocol):
    """One task's strategy. A point is returned once, and never after it was told of."""

    def next(self, count: int) -> list[Point]:
        """Up to ``count`` valid points, those first that should be measured first; none when there are no more."""
        ...

    def tell(self, points: Sequence[Point], seconds: Sequence[float]) -> None:
        """They took so many seconds a call; infinity where they failed."""
        ...


class RandomSearch:
    """Points uniformly at random."""

    def __init__(self, space: ConfigSpace, rng: Random) -> None:
        self._space = space
        self._rng = rng
        self._visited: set[Point] = set()

    def next(self, count: int) -> list[Point]:
        points: list[Point] = []
        for _ in range(_ATTEMPTS * count):
            point = self._space.sample(self._rng)
            if point is None or len(points) >= count:
                break
            if point not in self._visited:
                self._visited.add(point)
                points.append(point)
        return points or self._rest(count)

    def _rest(self, count: int) -> list[Point]:
        """Of a space that is nearly exhausted what chance does not find."""
        points: list[Point] = []
        if self._space.size <= 1000 * _ATTEMPTS:
            everything = map(self._space.point, range(self._space.size))
            points = [p for p in everything if p not in self._visited and self._space.valid(p)][:count]
            self._visited.update(points)
        return points

    def tell(self, points: Sequence[Point], seconds: Sequence[float]) -> None:
        self._visited.update(points)


class GridSearch:
    """Points in the order of the space, the last knob changing fastest."""

    def __init__(self, space: ConfigSpace) -> None:
        self._space = space
        self._at = 0
        self._told: set[Point] = set()

    def next(self, count: int) -> list[Point]:
        points: list[Point] = []
        while len(points) < count and self._at < self._space.size:
            point = self._space.point(self._at)
            self._at += 1
            if point not in self._told and self._space.valid(point):
                points.append(point)
        return points

    def tell(self, points: Sequence[Point], seconds: Sequence[float]) -> None:
        self._told.update(points)
