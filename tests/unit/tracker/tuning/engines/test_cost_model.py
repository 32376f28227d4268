"""What the cost model learns of schedules whose time follows from their features."""

import math

import numpy as np
import pytest

pytest.importorskip("xgboost")

from tvm_farm.tracker.tuning.engines.cost_model import CostModel


def stores(speed: float, noise: np.random.Generator) -> np.ndarray:
    """Two stores; the busier one tells how fast the schedule is, the other nothing."""
    rows = noise.random((2, 164)).astype(np.float32)
    rows[0, :7], rows[1, :7] = 1.0, 9.0
    rows[1, 20] = speed
    return rows


def test_it_orders_what_it_has_never_seen():
    noise = np.random.default_rng(0)
    model = CostModel(threads=1, seed=0)
    for task, scale in (("a", 1.0), ("b", 1e-3)):  # each task is judged against its own best
        speeds = noise.random(60)
        model.learn(task, [stores(s, noise) for s in speeds], [scale * 2.0 ** (-8 * s) for s in speeds])
    unseen = np.linspace(0.05, 0.95, 10)
    scores = model.scores([stores(s, noise) for s in unseen])
    assert scores is not None
    assert np.corrcoef(scores, unseen)[0, 1] > 0.95


def test_it_says_nothing_before_it_has_learned_enough_and_of_no_stores():
    noise = np.random.default_rng(0)
    model = CostModel(threads=1, seed=0)
    model.learn("a", [stores(0.5, noise)] * 23 + [np.zeros((0, 164), np.float32)], [1.0] * 24)
    assert model.scores([stores(0.5, noise)]) is None
    model.learn("a", [stores(0.1, noise)], [math.inf])
    scores = model.scores([stores(0.5, noise), np.zeros((0, 164), np.float32)])
    assert scores is not None
    assert scores[1] < scores[0]


def test_failures_are_the_worst():
    noise = np.random.default_rng(0)
    model = CostModel(threads=1, seed=0)
    speeds = np.concatenate([np.zeros(40), np.ones(40)])
    model.learn("a", [stores(s, noise) for s in speeds], [math.inf if s == 0 else 1e-3 for s in speeds])
    failing, running = model.scores([stores(0.0, noise), stores(1.0, noise)])
    assert failing < -6 < running


def test_it_tells_what_is_dear_to_build():
    noise = np.random.default_rng(0)
    model = CostModel(threads=1, seed=0)
    sizes = noise.random(60)
    unseen = [stores(s, noise) for s in (0.1, 0.5, 0.9)]
    nothing = np.zeros((0, 164), np.float32)
    assert model.build_costs(unseen) is None
    model.learn_builds([stores(s, noise) for s in sizes], [0.0] * 60)
    assert model.build_costs(unseen) is None, "0 is not known"
    model.learn_builds([stores(s, noise) for s in sizes], [0.05 * 16.0**s for s in sizes])
    costs = model.build_costs([*unseen, nothing])
    assert costs is not None
    assert costs[0] < -1 < costs[1] < 1 < costs[2], "log2, around the mean of those that are compared"
    assert costs[3] == 0
