"""Predicts how near a schedule comes to the best of its task, from features of its program.

Gradient boosting as in Ansor (Zheng et al., OSDI 2020) with two changes: the label is the logarithm
of best over measured time, since random schedules are up to a thousand times apart, and a schedule
is described by its busiest store alone instead of a sum over all, which trains faster and tells
more of tasks that were measured a few times only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xgboost
from numpy.typing import NDArray

__all__ = ["CostModel"]

#: Schedules without which the model says nothing.
_FIRST_TRAINING = 24
#: It is trained again when what it has not seen is this share of what it has.
_GROWTH = 0.08
_ROUNDS = 100
_PARAMETERS = {
    "max_depth": 5,
    "eta": 0.15,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "tree_method": "hist",
    "objective": "reg:squarederror",
}
#: Of the 164 features of a store those that count its floating-point operations, log2-scaled
#: (TVM, feature_extractor/per_store_feature.cc, group 1).
_FLOAT_OPERATIONS = slice(0, 7)
#: The label of a schedule that failed or is slower than the best by more than this: log2.
_WORST = -13.0

#: As above, of compile times: fewer rounds tell them, and nothing depends on their order at the top.
_BUILD_ROUNDS, _BUILD_GROWTH = 40, 0.3

Features = NDArray[np.float32]


class CostModel:
    """Shared by all tasks of a job: what one convolution teaches helps the next. Used by one thread at a time."""

    def __init__(self, threads: int, seed: int) -> None:
        self._parameters = {**_PARAMETERS, "nthread": threads, "seed": seed % 2**31}
        self._rows: dict[str, list[Features]] = {}
        self._seconds: dict[str, list[float]] = {}
        self._size = self._trained_size = 0
        self._booster: xgboost.Booster | None = None
        self._build_rows: list[Features] = []
        self._build_seconds: list[float] = []
        self._builds_size = 0
        self._builds: xgboost.Booster | None = None

    def learn(self, task: str, features: Sequence[Features], seconds: Sequence[float]) -> None:
        """Schedules of ``task`` with their per-store features ran in ``seconds`` a call; infinity where they failed."""
        rows = self._rows.setdefault(task, [])
        times = self._seconds.setdefault(task, [])
        for stores, time in zip(features, seconds, strict=True):
            if len(stores):
                rows.append(_busiest(stores))
                times.append(time)
                self._size += 1

    def scores(self, features: Sequence[Features]) -> NDArray[np.float64] | None:
        """log2 of the best time of their task over theirs, as predicted; None while too little was learned."""
        if self._size < _FIRST_TRAINING:
            return None
        if self._booster is None or self._size - self._trained_size > _GROWTH * self._trained_size:
            self._train()
        assert self._booster is not None
        scores = np.full(len(features), _WORST)
        known, predicted = _predicted(self._booster, features)
        scores[known] = predicted
        return scores

    def learn_builds(self, features: Sequence[Features], cpu_s: Sequence[float]) -> None:
        """Schedules with their per-store features took a builder ``cpu_s`` CPU seconds each; 0 is not known."""
        for stores, seconds in zip(features, cpu_s, strict=True):
            if len(stores) and seconds > 0:
                self._build_rows.append(_busiest(stores))
                self._build_seconds.append(seconds)

    def build_costs(self, features: Sequence[Features]) -> NDArray[np.float64] | None:
        """log2 of the CPU seconds to build each over their geometric mean, as predicted; None while too little was
        learned."""
        size = len(self._build_rows)
        if size < _FIRST_TRAINING or not any(len(stores) for stores in features):
            return None
        if self._builds is None or size - self._builds_size > _BUILD_GROWTH * self._builds_size:
            matrix = xgboost.DMatrix(np.stack(self._build_rows), label=np.log2(self._build_seconds))
            self._builds = xgboost.train(self._parameters, matrix, num_boost_round=_BUILD_ROUNDS)
            self._builds_size = size
        costs = np.zeros(len(features))
        known, predicted = _predicted(self._builds, features)
        costs[known] = predicted - predicted.mean()
        return costs

    def _train(self) -> None:
        labels = np.concatenate([_labels(times) for times in self._seconds.values() if times])
        rows = np.stack([row for rows in self._rows.values() for row in rows])
        # Which of two bad schedules is worse matters little.
        matrix = xgboost.DMatrix(rows, label=labels, weight=0.2 + 2.0 ** (labels / 2))
        self._booster = xgboost.train(self._parameters, matrix, num_boost_round=_ROUNDS)
        self._trained_size = self._size


def _predicted(booster: xgboost.Booster, features: Sequence[Features]) -> tuple[list[int], NDArray[np.float32]]:
    """Positions of those with any store, and what is predicted for each."""
    known = [number for number, stores in enumerate(features) if len(stores)]
    if not known:
        return known, np.zeros(0, dtype=np.float32)
    predicted: NDArray[np.float32] = booster.predict(
        xgboost.DMatrix(np.stack([_busiest(features[number]) for number in known]))
    )
    return known, predicted


def _busiest(stores: Features) -> Features:
    """The row of the store with most floating-point operations."""
    row: Features = stores[int(np.argmax(stores[:, _FLOAT_OPERATIONS].sum(axis=1)))]
    return row


def _labels(seconds: Sequence[float]) -> NDArray[np.float64]:
    # A coarse clock may say 0.
    times = np.maximum(np.asarray(seconds, dtype=np.float64), 1e-9)
    ran = np.isfinite(times)
    if not ran.any():
        return np.full(len(times), _WORST)
    with np.errstate(divide="ignore"):
        return np.where(ran, np.maximum(np.log2(times[ran].min() / times), _WORST), _WORST)
