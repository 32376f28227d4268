"""What one task's best schedules say about another of the same kind.

The convolutions of a network differ in their extents and hardly in their loop nests: MetaSchedule's
rules give them the same sketches, whose decisions alone tell one schedule from another. So the
decisions that made one task fast are refitted to the extents of its relatives and tried there
first, as AutoTVM and Ansor users do by hand with logs of similar shapes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["Decisions", "Relative", "Relatives", "Sketch", "before_postprocessing", "refit"]

#: By the number of the instruction: tile factors outer to inner, or the index of a choice.
Decisions = Mapping[int, tuple[int, ...] | int]

_TILE = "SamplePerfectTile"
#: How much a step of a factor counts, from the outermost loop to the innermost. The outermost takes up what the extents
#: differ in; the inner ones decide registers and vectors.
_OUTERMOST, _INNERMOST = 0.25, 2.0


def before_postprocessing(trace: str) -> str:
    """``trace``, JSON as the log has it, up to where postprocessing begins: as ``Trace.as_json(True)`` writes it."""
    instructions, decisions = json.loads(trace)
    end = next((at for at, (kind, *_) in enumerate(instructions) if kind == "EnterPostproc"), len(instructions))
    return json.dumps([instructions[:end], [made for made in decisions if made[0] < end]], separators=(",", ":"))


@dataclass(frozen=True)
class Sketch:
    """A trace before postprocessing, its decisions apart. ``family`` is equal for sketches of the same form."""

    family: str
    instructions: tuple[Any, ...]
    decisions: Mapping[int, tuple[int, ...] | int]

    @staticmethod
    def of(trace: str) -> Sketch:
        """``trace``: JSON of instructions and decisions as TVM's ``Trace.as_json`` writes it."""
        instructions, decisions = json.loads(trace)
        form = [(kind, _names(attributes)) for kind, _, attributes, _ in instructions]
        made = {int(at): tuple(map(int, d)) if isinstance(d, list) else int(d) for at, d in decisions}
        return Sketch(json.dumps(form), tuple(instructions), made)

    @property
    def extents(self) -> dict[int, int]:
        """The loop that each tiling instruction splits, in iterations."""
        return {at: math.prod(d) for at, d in self.decisions.items() if isinstance(d, tuple)}

    def decided(self, decisions: Decisions) -> list[Any]:
        """The JSON of this sketch with ``decisions`` in place of its own."""
        made = [[at, list(d) if isinstance(d, tuple) else d] for at, d in sorted(decisions.items())]
        return [list(self.instructions), made]

    def adopt(self, other: Sketch) -> Decisions | None:
        """The decisions of ``other``, refitted to this sketch's extents; None where the forms differ."""
        if other.family != self.family or other.decisions.keys() != self.decisions.keys():
            return None
        adopted: dict[int, tuple[int, ...] | int] = {}
        for at, decision in other.decisions.items():
            if isinstance(decision, tuple):
                innermost = int(self.instructions[at][2][1]) if self.instructions[at][0] == _TILE else 0
                adopted[at] = refit(decision, self.extents[at], innermost)
            else:
                adopted[at] = decision
        return adopted

    def distance(self, other: Sketch) -> float:
        """How far the extents are apart: the sum over loops of |log2 of their ratio|."""
        theirs = other.extents
        return sum(abs(math.log2(extent / theirs[at])) for at, extent in self.extents.items() if at in theirs)


def _names(attributes: Any) -> list[str]:
    return [attribute for attribute in attributes or () if isinstance(attribute, str)]


@dataclass(frozen=True)
class Relative:
    """A measured schedule of another task. ``quality``: that task's best seconds over this one's, 0..1."""

    task: str
    sketch: Sketch
    quality: float


class Relatives:
    """The best schedules of every task of a job, for the others to adopt."""

    def __init__(self, kept: int = 4) -> None:
        self._kept = kept
        self._by_task: dict[tuple[str, str], list[tuple[float, Sketch]]] = {}

    def add(self, task: str, trace: str, seconds: float, origin: str = "") -> None:
        """A schedule of ``task`` ran in ``seconds`` a call; ``trace`` is its JSON before postprocessing.

        ``origin``: the class of device that it ran on, "" for the job's own. Seconds are compared within one origin.
        """
        best = self._by_task.setdefault((task, origin), [])
        if len(best) >= self._kept and seconds >= best[-1][0]:
            return
        best.append((seconds, Sketch.of(trace)))
        best.sort(key=lambda entry: entry[0])
        del best[self._kept :]

    def of(self, task: str, sketch: Sketch) -> list[Relative]:
        """Schedules of other tasks with the form of ``sketch``: the nearest extents first, then the fastest."""
        found = [
            Relative(other, schedule, best[0][0] / seconds)
            for (other, _), best in self._by_task.items()
            if other != task
            for seconds, schedule in best
            if schedule.family == sketch.family
        ]
        return sorted(found, key=lambda relative: (sketch.distance(relative.sketch), -relative.quality))


def refit(factors: tuple[int, ...], extent: int, innermost_most: int = 0) -> tuple[int, ...]:
    """Factors of ``extent``, as many as ``factors`` and as near to them as divisibility allows.

    Near is the weighted sum of squared log2 ratios, inner loops counting most. ``innermost_most``: the largest
    innermost factor, 0 for any.
    """
    if math.prod(factors) == extent:
        return factors
    steps = max(1, len(factors) - 1)
    weights = [_OUTERMOST + (_INNERMOST - _OUTERMOST) * number / steps for number in range(len(factors))]

    def cost(choice: tuple[int, ...]) -> float:
        terms = zip(weights, choice, factors, strict=True)
        return sum(weight * math.log2(new / old) ** 2 for weight, new, old in terms)

    fitting = [f for f in _factorizations(extent, len(factors)) if not innermost_most or f[-1] <= innermost_most]
    return min(fitting, key=lambda choice: (cost(choice), choice))


@lru_cache(maxsize=256)
def _factorizations(extent: int, parts: int) -> tuple[tuple[int, ...], ...]:
    if parts == 1:
        return ((extent,),)
    return tuple((first, *rest) for first in _divisors(extent) for rest in _factorizations(extent // first, parts - 1))


def _divisors(number: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return [*small, *(number // d for d in reversed(small) if d * d != number)]
