"""Which records a log can do without."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Hashable

from tvm_farm.tracker.domain import Outcome

__all__ = ["LogSurvey"]


class LogSurvey:
    """Sees each record of a log once, in the order of their numbers.

    Spare are all but the ``keep`` of least median run time of each kind (workload, device class and target), the
    fastest untuned one of each, wrong results, records of jobs that have not ended, and the newest of all.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        #: The best so far of each kind, worst first: (-seconds, -number).
        self._best: dict[Hashable, list[tuple[float, int]]] = {}
        self._spare = array("q")
        self.seen = 0
        self.newest = 0

    def weigh(
        self, number: int, kind: Hashable, *, untuned: bool, median_s: float | None, outcome: str, unfinished: bool,
        copied: bool,
    ) -> None:  # fmt: skip
        """``outcome`` is the value of an Outcome; ``unfinished``: its job has not ended; ``copied``: from a record."""
        self.seen += 1
        self.newest = number
        # That a kernel answers wrongly was dear to find out, and spares finding it again.
        if outcome == Outcome.WRONG_RESULT.value or unfinished:
            return
        # A copy says nothing that the record it was copied from does not.
        if median_s is None or copied:
            self._spare.append(number)
            return
        best = self._best.setdefault((kind, untuned), [])
        heapq.heappush(best, (-median_s, -number))
        if len(best) > (1 if untuned else self._keep):
            self._spare.append(-heapq.heappop(best)[1])

    def spare(self) -> array[int]:
        """Their numbers in order, once all were seen."""
        self._best.clear()
        # Who pages through the log goes on behind the newest.
        return array("q", sorted(number for number in self._spare if number != self.newest))
