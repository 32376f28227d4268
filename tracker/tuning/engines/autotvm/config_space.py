"""The knobs of a template for one task, and the points that they span.

As in AutoTVM (Chen et al., NeurIPS 2018; TVM's former ``python/tvm/autotvm/task/space.py``) a space
is the product of its knobs' options. Here a template may also say which combinations cannot work
(``Config.require``), so that no point is built only to be refused by the compiler or the device.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from heapq import heappop, heappush
from itertools import product
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_farm.tracker.tuning.engines.autotvm.errors import TemplateError

__all__ = ["ConfigSpace", "Knob", "Limit", "Point", "Value", "factorizations"]

#: What a knob is set to. Tile factors go from the outermost loop to the innermost.
Value = int | str | tuple[int, ...] | tuple[str, ...]
#: The number of the option of each knob, in the order of the knobs.
Point = tuple[int, ...]
#: Combinations up to which a limit's part of a space is counted one by one.
_COUNTED = 10_000
_DRAWS = 400
#: Combinations that are looked at for one that is like another shape's.
_NEAR = 2_000
#: Options of a knob that are shown.
_SHOWN = 6


@dataclass(frozen=True)
class Knob:
    """``kind``: split, reorder, unroll, vectorize, parallel, annotate or choice."""

    name: str
    kind: str
    options: tuple[Value, ...]

    @cached_property
    def numbers(self) -> NDArray[np.float32]:
        """A row an option, for a model: log2 of factors and numbers, places of an order, or one column an option."""
        first = self.options[0]
        if self.kind in ("reorder", "choice", "annotate") and not all(isinstance(o, int) for o in self.options):
            names = first if isinstance(first, tuple) else None
            if names is None:
                return np.eye(len(self.options), dtype=np.float32)
            places = [[order.index(name) for name in names] for order in self.options]  # type: ignore[union-attr,arg-type]
            return np.array(places, dtype=np.float32)
        rows = [option if isinstance(option, tuple) else (option,) for option in self.options]
        logs: NDArray[np.float32] = np.log2(1.0 + np.array(rows, dtype=np.float32))
        return logs


@dataclass(frozen=True)
class Limit:
    """Points for which ``holds`` is false are not in the space. Its parameters are names of knobs."""

    reason: str
    holds: Callable[..., bool]
    knobs: tuple[str, ...] = field(default=())

    @staticmethod
    def of(reason: str, holds: Callable[..., bool]) -> Limit:
        return Limit(reason, holds, tuple(inspect.signature(holds).parameters))

    def checked(self, *values: Value) -> bool:
        """Whether it holds. Raises TemplateError where it cannot tell."""
        try:
            return bool(self.holds(*values))
        except Exception as error:
            given = ", ".join(f"{name}={_text(value)}" for name, value in zip(self.knobs, values, strict=False))
            raise TemplateError(
                f"whether '{self.reason}' cannot be told of {given}: {type(error).__name__}: {error}"
            ) from error


class ConfigSpace:
    """Raises TemplateError where no point is left."""

    def __init__(self, template: str, knobs: Sequence[Knob], limits: Sequence[Limit]) -> None:
        self.template = template
        self.knobs = tuple(knobs)
        self.limits = tuple(limits)
        names = {knob.name: number for number, knob in enumerate(self.knobs)}
        for limit in self.limits:
            unknown = [name for name in limit.knobs if name not in names]
            if unknown:
                raise TemplateError(
                    f"template {template}: '{limit.reason}' asks for the knob {unknown[0]}; "
                    f"there are {', '.join(names) or 'none'}"
                )
            if not limit.knobs:
                raise TemplateError(
                    f"template {template}: '{limit.reason}' depends on no knob: give it as where= of the template"
                )
        self._limits = [(limit.checked, [names[name] for name in limit.knobs]) for limit in self.limits]
        if self.valid_size == 0:
            reasons = " and ".join(f"'{limit.reason}'" for limit in self.limits)
            raise TemplateError(f"template {template}: no point of its space satisfies {reasons}")

    @property
    def size(self) -> int:
        """The product of the numbers of options."""
        return math.prod(len(knob.options) for knob in self.knobs)

    @cached_property
    def valid_size(self) -> int | None:
        """Points that satisfy every limit; None where these are too many to count."""
        left, total = set(range(len(self.knobs))), 1
        for group in self._linked():
            left -= group
            if math.prod(len(self.knobs[n].options) for n in group) > _COUNTED:
                return None
            total *= self._count(sorted(group))
        return total * math.prod(len(self.knobs[n].options) for n in left)

    def _linked(self) -> list[set[int]]:
        """Knobs that limits bind together."""
        groups: list[set[int]] = []
        for _, numbers in self._limits:
            joined = set(numbers).union(*(group for group in groups if group & set(numbers)))
            groups = [group for group in groups if not group & set(numbers)] + [joined]
        return groups

    def _count(self, group: list[int]) -> int:
        limits = [(holds, [group.index(n) for n in numbers]) for holds, numbers in self._limits if numbers[0] in group]
        options = [self.knobs[n].options for n in group]
        return sum(all(holds(*(values[n] for n in at)) for holds, at in limits) for values in product(*options))

    def valid(self, point: Point) -> bool:
        values = [knob.options[option] for knob, option in zip(self.knobs, point, strict=True)]
        return all(holds(*(values[n] for n in numbers)) for holds, numbers in self._limits)

    def values(self, point: Point) -> dict[str, Value]:
        return {knob.name: knob.options[option] for knob, option in zip(self.knobs, point, strict=True)}

    def point(self, number: int) -> Point:
        """The ``number``-th of ``size`` points, valid or not; the last knob changes fastest."""
        options = []
        for knob in reversed(self.knobs):
            number, option = divmod(number, len(knob.options))
            options.append(option)
        return tuple(reversed(options))

    def sample(self, rng: Random) -> Point | None:
        """A valid point; None where hundreds of draws gave none."""
        for _ in range(_DRAWS):
            point = tuple(rng.randrange(len(knob.options)) for knob in self.knobs)
            if self.valid(point):
                return point
        return None

    def neighbour(self, point: Point, rng: Random) -> Point | None:
        """A valid point that differs in one knob, or in two; None where a few draws gave none."""
        open_knobs = [n for n, knob in enumerate(self.knobs) if len(knob.options) > 1]
        for _ in range(_DRAWS // 20 if open_knobs else 0):
            moved = list(point)
            for n in rng.sample(open_knobs, min(len(open_knobs), rng.choice((1, 1, 2)))):
                moved[n] = (point[n] + rng.randrange(1, len(self.knobs[n].options))) % len(self.knobs[n].options)
            if self.valid(tuple(moved)):
                return tuple(moved)
        return None

    def features(self, points: Sequence[Point]) -> NDArray[np.float32]:
        """A row a point: the numbers of its knobs' options side by side."""
        chosen = np.asarray(points, dtype=np.int64).reshape(len(points), len(self.knobs))
        columns = [knob.numbers[chosen[:, n]] for n, knob in enumerate(self.knobs)]
        return np.concatenate(columns, axis=1) if columns else np.zeros((len(points), 0), dtype=np.float32)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What each column of ``features`` is called; equal for equal columns of another task's space."""
        return tuple(f"{self.template}/{knob.name}/{n}" for knob in self.knobs for n in range(knob.numbers.shape[1]))

    def write(self, point: Point) -> str:
        """``point`` as a trace keeps it, e.g. ``dense;tile_m=4x8x2;pack=yes``."""
        return ";".join([self.template, *(f"{name}={_text(value)}" for name, value in self.values(point).items())])

    def read(self, text: str) -> Point | None:
        """What ``write`` wrote; None where it is of another template or this space does not have it."""
        template, *parts = text.split(";")
        written = dict(part.split("=", 1) for part in parts if "=" in part)
        if template != self.template or written.keys() != {knob.name for knob in self.knobs}:
            return None
        point = []
        for knob in self.knobs:
            texts = [_text(option) for option in knob.options]
            if written[knob.name] not in texts:
                return None
            point.append(texts.index(written[knob.name]))
        return tuple(point) if self.valid(tuple(point)) else None

    def nearest(self, text: str) -> Point | None:
        """The valid point most like ``text``, which this template's space of another shape wrote.

        Of tiles the inner factors count, which the machine sees; how many there are follows from the shape. None where
        it is of another template, or nothing valid is near.
        """
        template, *parts = text.split(";")
        if template != self.template:
            return None
        written = dict(part.split("=", 1) for part in parts if "=" in part)
        steps = [_by_distance(knob, written.get(knob.name)) for knob in self.knobs]
        first = tuple(0 for _ in steps)
        queue, met = [(0.0, first)], {first}
        for _ in range(_NEAR):
            if not queue:
                break
            _, at = heappop(queue)
            point = tuple(ranked[place][1] for ranked, place in zip(steps, at, strict=True))
            if self.valid(point):
                return point
            for n, ranked in enumerate(steps):
                further = (*at[:n], at[n] + 1, *at[n + 1 :])
                if further[n] < len(ranked) and further not in met:
                    met.add(further)
                    heappush(queue, (sum(each[place][0] for each, place in zip(steps, further, strict=True)), further))
        return None

    def describe(self) -> Mapping[str, Any]:
        """For people and for JSON: of knobs with many options the first and the last stand for all."""
        knobs = []
        for knob in self.knobs:
            texts = [_text(option) for option in knob.options]
            shown = texts if len(texts) <= _SHOWN else [*texts[: _SHOWN - 2], "...", texts[-1]]
            knobs.append({"name": knob.name, "kind": knob.kind, "size": len(texts), "options": shown})
        limits = [limit.reason for limit in self.limits]
        return {
            "template": self.template,
            "size": self.size,
            "valid": self.valid_size,
            "knobs": knobs,
            "limits": limits,
        }


def _text(value: Value) -> str:
    return (
        ("x" if value and isinstance(value[0], int) else ",").join(map(str, value))
        if isinstance(value, tuple)
        else str(value)
    )


def _by_distance(knob: Knob, written: str | None) -> list[tuple[float, int]]:
    """The knob's options with how far each is from ``written``, the nearest first; all alike where it is None."""
    return sorted((0.0 if written is None else _distance(option, written), n) for n, option in enumerate(knob.options))


def _distance(option: Value, written: str) -> float:
    """In doublings of inner factors and of numbers; 1 between words."""
    if _text(option) == written:
        return 0.0
    ours = _text(option).split("x")
    theirs = written.split("x")
    if len(ours) != len(theirs) or not all(text.isdigit() for text in (*ours, *theirs)):
        return 1.0
    pairs = list(zip(ours, theirs, strict=True))[len(ours) > 1 :]
    return sum(abs(math.log2((1 + int(mine)) / (1 + int(other)))) for mine, other in pairs)


@lru_cache(maxsize=512)
def factorizations(extent: int, parts: int) -> tuple[tuple[int, ...], ...]:
    """Every way to write ``extent`` as a product of ``parts`` factors."""
    if parts == 1:
        return ((extent,),)
    divisors = [d for d in range(1, extent + 1) if extent % d == 0]
    return tuple((first, *rest) for first in divisors for rest in factorizations(extent // first, parts - 1))
