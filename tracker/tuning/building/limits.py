"""How long a candidate may be compiled."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque

__all__ = ["BuildLimits"]

#: Times the median of the task's latest candidates. Of a matmul's, a tenth took longer, a third to a half of all of the
#: builders' time, and were hardly ever among the fastest: unrolled beyond use.
_TIMES = 3.5
_LATEST = 32
#: So many are awaited first.
_FEW = 6
#: CPU time of a busy machine varies by half.
_LEAST_S = 0.25


class BuildLimits:
    """CPU seconds, by task. One that runs into its limit counts as having taken it, so that limits can grow.

    ``longest_s`` is the most for any, and for candidates without a task.
    """

    def __init__(self, longest_s: float) -> None:
        self.longest_s = longest_s
        self._took: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_LATEST))

    def limit_s(self, task: str) -> float:
        took = self._took.get(task, ())
        if len(took) < _FEW:
            return self.longest_s
        return min(self.longest_s, max(_LEAST_S, _TIMES * statistics.median(took)))

    def took(self, task: str, cpu_s: float) -> None:
        """A candidate of ``task`` was compiled in ``cpu_s``, or ran into its limit of so many."""
        if task:
            self._took[task].append(cpu_s)
