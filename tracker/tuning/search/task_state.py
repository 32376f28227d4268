"""A task while it is tuned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tvm_farm.tracker.domain import Argument, Artifact
from tvm_farm.tracker.tuning.engines.base import Engine, Known
from tvm_farm.tracker.tuning.search.task_budget import TaskProgress

__all__ = ["TaskState", "median"]

#: What an untuned task computes, for the order of the first round before anything was measured.
_UNTUNED_FLOPS_PER_S = 3e9
_INFINITY = float("inf")


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass
class TaskState:
    """``history``: best seconds a call after each trial; see TaskProgress.

    ``params``: the file with values of ``arguments`` that are large. ``inputs``: names those of all that the board does
    not fill, "" where it fills all; see KernelInputs.

    ``replays``: traces and timings of records that no search step tells of. ``known_elsewhere`` gives what others
    measured, to begin the search with; ``taught_by``: the classes whose records it did begin with.
    """

    id: str
    name: str
    weight: int
    workload: str
    flops: float
    module: str
    arguments: tuple[Argument, ...]
    new_engine: Callable[[], Engine]
    engine_name: str
    params: Artifact | None = None
    inputs: str = ""
    untuned_s: float = 0.0
    history: list[float] = field(default_factory=list)
    replays: list[tuple[str, tuple[float, ...]]] = field(default_factory=list)
    known_elsewhere: Callable[[], Sequence[Known]] = tuple
    taught_by: frozenset[str] = frozenset()
    pending: int = 0
    exhausted: bool = False
    untuned_done: bool = False
    engine: Engine | None = None
    fault: str = ""  # why its space could not be searched

    def progress(self) -> TaskProgress:
        guess_s = 0.0 if self.untuned_s else self.flops / _UNTUNED_FLOPS_PER_S
        return TaskProgress(self.weight, self.untuned_s, tuple(self.history), self.pending, self.exhausted, guess_s)

    def count(self, run_secs: tuple[float, ...]) -> None:
        """Add one answered trial to the history."""
        best = self.history[-1] if self.history else _INFINITY
        self.history.append(min(best, median(run_secs)) if run_secs else best)
