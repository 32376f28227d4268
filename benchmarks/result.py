"""What a benchmark measures, what must be reached, and what came of it."""

from __future__ import annotations

import operator
from dataclasses import dataclass

__all__ = ["Bound", "Metric", "Result"]

_COMPARE = {">=": operator.ge, "<=": operator.le, "<": operator.lt, ">": operator.gt}
_NUMBERS = ("farm", "ratio")


@dataclass(frozen=True)
class Bound:
    """A limit on one number of a result, written ``"ratio >= 25"`` or ``"farm <= 7"``."""

    of: str
    compare: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Raises ValueError for anything but ``farm|ratio`` ``>=|<=|>|<`` number."""
        words = text.split()
        if len(words) != 3 or words[0] not in _NUMBERS or words[1] not in _COMPARE:
            raise ValueError(f"{text!r} is no bound: write farm or ratio, then >=, <=, > or <, then a number")
        return cls(words[0], words[1], float(words[2]))

    def met(self, *, farm: float, ratio: float | None) -> bool | None:
        """None where the bounded number does not exist: a ratio without a stock side."""
        value = farm if self.of == "farm" else ratio
        return None if value is None else bool(_COMPARE[self.compare](value, self.limit))


@dataclass(frozen=True)
class Metric:
    """One number that a benchmark reports. ``must`` and ``aim`` are bounds, see ``Bound``."""

    name: str
    unit: str
    lower_is_better: bool = True
    must: str | None = None
    aim: str | None = None

    def __post_init__(self) -> None:
        for bound in (self.must, self.aim):
            if bound is not None:
                Bound.parse(bound)

    def ratio(self, *, farm: float, stock: float | None) -> float | None:
        """How many times better the farm is: above 1 where it wins, whichever way the metric goes."""
        if stock is None:
            return None
        better, worse = (farm, stock) if self.lower_is_better else (stock, farm)
        return None if better == 0 else worse / better


@dataclass(frozen=True)
class Result:
    """One line of results.json.

    ``stock`` and ``ratio`` are None where there is nothing of stock TVM's to compare with, ``must``
    and ``met`` where nothing is demanded. ``ratio`` is above 1 where the farm is better. ``date`` is
    the UTC time at which the benchmark began.
    """

    benchmark: str
    metric: str
    unit: str
    stock: float | None
    farm: float
    ratio: float | None
    must: str | None
    met: bool | None
    machine: str
    date: str

    @classmethod
    def of(cls, benchmark: str, metric: Metric, *, farm: float, stock: float | None, machine: str, date: str) -> Result:
        ratio = metric.ratio(farm=farm, stock=stock)
        met = Bound.parse(metric.must).met(farm=farm, ratio=ratio) if metric.must else None
        return cls(benchmark, metric.name, metric.unit, stock, farm, ratio, metric.must, met, machine, date)
