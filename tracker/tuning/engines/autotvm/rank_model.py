"""Which of two points is the faster, learned from what was measured.

Chen et al., "Learning to Optimize Tensor Programs", NeurIPS 2018: gradient boosting with a rank
objective, on what the knobs are set to and on what the loops do. Knobs cost nothing to look at and
programs some milliseconds each, so there are two models: one of knobs alone leads the walk through
the space, one of both orders what it found. Columns of knobs bear the names of template and knob;
what a task does not have is missing, so that tasks of one job, and records of other classes of
device, teach each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xgboost
from numpy.typing import NDArray

__all__ = ["RankModel", "Sample"]

Rows = NDArray[np.float32]
_FIRST_TRAINING = 12
_GROWTH = 0.1
_ROUNDS = 60
_PARAMETERS = {
    "max_depth": 4,
    "eta": 0.2,
    "subsample": 0.9,
    "colsample_bytree": 0.6,
    "min_child_weight": 0.1,
    "tree_method": "hist",
    "objective": "rank:pairwise",
    "lambdarank_pair_method": "mean",
    "lambdarank_num_pair_per_sample": 8,
}
#: Of the 164 features of a store those that count its floating-point operations (per_store_feature.cc, group 1).
_FLOAT_OPERATIONS = slice(0, 7)


@dataclass(frozen=True, eq=False)
class Sample:
    """A point that was measured: columns and numbers of its knobs, none for a schedule that no template made, and the
    features of its program, one row a store."""

    columns: tuple[str, ...]
    knobs: Rows
    stores: Rows


@dataclass
class _Group:
    """Samples whose seconds are comparable."""

    samples: list[Sample] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class RankModel:
    """Shared by the tasks of a job. Used by one thread at a time."""

    def __init__(self, threads: int, seed: int) -> None:
        self._parameters = {**_PARAMETERS, "nthread": threads, "seed": seed % 2**31}
        self._columns: dict[str, int] = {}
        self._groups: dict[str, _Group] = {}
        self._size = self._trained_size = 0
        self._of_knobs: xgboost.Booster | None = None
        self._of_programs: xgboost.Booster | None = None
        self._trained_columns = 0

    def learn(self, group: str, samples: Sequence[Sample], seconds: Sequence[float]) -> None:
        """``seconds`` a call, infinity where one failed; compared within ``group`` alone."""
        known = self._groups.setdefault(group, _Group())
        for sample, time in zip(samples, seconds, strict=True):
            for column in sample.columns:
                self._columns.setdefault(column, len(self._columns))
            known.samples.append(sample)
            known.seconds.append(time)
            self._size += 1

    @property
    def ready(self) -> bool:
        """Whether enough was learned, of some knobs, and something to tell apart."""
        distinct = any(len(set(group.seconds)) > 1 for group in self._groups.values())
        return self._size >= _FIRST_TRAINING and bool(self._columns) and distinct

    def knob_scores(self, columns: tuple[str, ...], knobs: Rows) -> Rows:
        """Of points by their knobs alone: the higher the faster, comparable within one task. For a ``ready`` model."""
        self._train()
        assert self._of_knobs is not None
        scores: Rows = self._of_knobs.inplace_predict(self._placed(columns, knobs))
        return scores

    def scores(self, samples: Sequence[Sample]) -> Rows:
        """Of programs, likewise."""
        self._train()
        assert self._of_programs is not None
        scores: Rows = self._of_programs.inplace_predict(self._rows(samples))
        return scores

    def _train(self) -> None:
        if self._of_programs is not None and self._size - self._trained_size <= _GROWTH * self._trained_size:
            return
        groups = [group for group in self._groups.values() if len(group.samples) > 1]
        self._trained_columns = len(self._columns)
        labels = np.concatenate([_labels(group.seconds) for group in groups])
        owner = np.concatenate([np.full(len(group.samples), n) for n, group in enumerate(groups)])
        rows = np.concatenate([self._rows(group.samples) for group in groups])
        width = self._trained_columns
        self._of_knobs, self._of_programs = (
            xgboost.train(self._parameters, xgboost.DMatrix(part, label=labels, qid=owner), num_boost_round=_ROUNDS)
            for part in (rows[:, :width], rows)
        )
        self._trained_size = self._size

    def _placed(self, columns: tuple[str, ...], knobs: Rows) -> Rows:
        """``knobs`` in the model's columns; what is not known to it is left out, what is not in them is missing."""
        placed = np.full((len(knobs), self._trained_columns), np.nan, dtype=np.float32)
        for at, column in enumerate(columns):
            to = self._columns.get(column, self._trained_columns)
            if to < self._trained_columns:
                placed[:, to] = knobs[:, at]
        return placed

    def _rows(self, samples: Sequence[Sample]) -> Rows:
        knobs = [self._placed(sample.columns, sample.knobs.reshape(1, -1)) for sample in samples]
        return np.concatenate([np.concatenate(knobs), np.stack([_program(s.stores) for s in samples])], axis=1)


def _program(stores: Rows) -> Rows:
    """The row of the store with most floating-point operations, as ``CostModel`` sees a schedule; it, and the sum over
    all: what packing and copies cost is in no other."""
    if not len(stores):
        return np.full(2 * 164, np.nan, dtype=np.float32)
    busiest = stores[int(np.argmax(stores[:, _FLOAT_OPERATIONS].sum(axis=1)))]
    return np.concatenate([busiest, stores.sum(axis=0)])


def _labels(seconds: Sequence[float]) -> NDArray[np.float64]:
    """Speed over the best of the group; 0 where it failed."""
    best = min(max(time, 1e-9) for time in seconds)
    if not math.isfinite(best):
        return np.zeros(len(seconds))
    return np.array([best / max(time, 1e-9) for time in seconds])
