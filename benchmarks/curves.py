"""Estimated latency of a model over tuning time: each task's best so far, times how often the model calls it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Trial", "best_until", "latency_curve"]


@dataclass(frozen=True)
class Trial:
    """One answered candidate: ``at_s`` after tuning began, ``seconds`` a call (None: it failed), ``trace`` as JSON."""

    at_s: float
    workload: str
    seconds: float | None
    trace: str


def best_until(trials: Iterable[Trial], until_s: float) -> dict[str, Trial]:
    """The fastest trial of each workload among those answered by ``until_s``; the first of equals."""
    best: dict[str, Trial] = {}
    for trial in sorted(trials, key=lambda trial: trial.at_s):
        if trial.at_s > until_s or trial.seconds is None:
            continue
        known = best.get(trial.workload)
        if known is None or known.seconds is None or trial.seconds < known.seconds:
            best[trial.workload] = trial
    return best


def latency_curve(
    trials: Sequence[Trial], weights: Mapping[str, int], untuned_s: Mapping[str, float], until_s: float
) -> list[tuple[float, float]]:
    """Steps (seconds of tuning, estimated latency in seconds), from 0 to ``until_s``.

    A workload without a better trial counts with its untuned time. Trials of workloads outside
    ``weights`` are not the model's.
    """
    best = dict(untuned_s)
    curve = [(0.0, sum(weights[key] * best[key] for key in weights))]
    for trial in sorted(trials, key=lambda trial: trial.at_s):
        if trial.at_s > until_s or trial.seconds is None or trial.workload not in weights:
            continue
        if trial.seconds < best[trial.workload]:
            best[trial.workload] = trial.seconds
            curve.append((trial.at_s, sum(weights[key] * best[key] for key in weights)))
    return [*curve, (until_s, curve[-1][1])]
