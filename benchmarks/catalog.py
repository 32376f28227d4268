"""Which benchmarks there are, and what each is made of.

A benchmark is a module of this package with

- ``TITLE: str``: one line, the plot's title;
- ``METRICS: tuple[Metric, ...]``: every number it reports, with what it must reach; the main README shows the first
  that ``run`` returns;
- ``run(bench: Bench) -> list[Result]``: does the work; a full run reports every metric; a result may be of a part of
  the benchmark, "name/part", and then stands in results.json and not in the READMEs' tables;
- ``plot(figure: Figure, results: Sequence[Result], series: Any) -> None``: draws it with matplotlib
  from the results and from what ``run`` left in ``bench.series``;
- ``LIMIT_S: float``, where a full run of it may need more than 15 minutes.

Its docstring says what is timed on each side and why that is the same work.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from benchmarks.bench import Bench
from benchmarks.result import Metric, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BY_NAME_ONLY", "NAMES", "Benchmark", "load"]

#: In the order in which they run.
NAMES = (
    "measure",
    "tune",
    "anytime",
    "first_result",
    "footprint",
    "noise",
    "boards",
    "crowd",
    "log",
    "engines",
    "transfer",
    "quantized",
)
#: They run when they are named, not with all: these have dozens of jobs and compare nothing with stock TVM.
BY_NAME_ONLY = ("engines", "transfer", "quantized")


class Benchmark(Protocol):
    TITLE: str
    METRICS: tuple[Metric, ...]

    def run(self, bench: Bench) -> list[Result]: ...

    def plot(self, figure: Figure, results: Sequence[Result], series: Any) -> None: ...


def load(name: str) -> Benchmark:
    """Raises KeyError for a name that is none of NAMES."""
    if name not in NAMES:
        raise KeyError(name)
    return cast(Benchmark, importlib.import_module(f"benchmarks.{name}"))
