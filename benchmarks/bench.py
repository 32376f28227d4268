"""What a benchmark is given: its folder, its size, and where its results go."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.result import Metric, Result

__all__ = ["Bench"]


@dataclass
class Bench:
    """One run of one benchmark, in a process of its own.

    ``quick`` asks for a size that shows that it works, not for numbers to publish. ``folder`` is
    empty, its own, and thrown away afterwards; ``shared`` is the same folder for all benchmarks of a quick
    run. What is put in ``series`` is kept as JSON for the plot.
    """

    name: str
    quick: bool
    folder: Path
    metrics: Sequence[Metric]
    machine: str
    date: str
    shared: Path | None = None
    series: dict[str, Any] = field(default_factory=dict)
    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def result(self, metric: str, *, farm: float, stock: float | None = None) -> Result:
        """The finished line of one of the benchmark's METRICS. Raises KeyError for a metric it does not define."""
        defined = {each.name: each for each in self.metrics}[metric]
        return Result.of(self.name, defined, farm=farm, stock=stock, machine=self.machine, date=self.date)

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Say what takes time, while it does and how long it took."""
        begun_s = time.monotonic()
        if self.console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            with Progress(*columns, console=self.console, transient=True) as progress:
                progress.add_task(f"{self.name}: {doing}")
                yield
        else:
            self.console.print(f"{self.name}: {doing} …")
            yield
        self.console.print(f"{self.name}: {doing}: {time.monotonic() - begun_s:.1f} s")
