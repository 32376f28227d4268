"""Operators that make one number of many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.values import Refused

__all__ = ["axes_of"]

_REDUCE: dict[str, Callable[..., relax.Expr]] = {
    "MEAN": relax.op.mean,
    "REDUCE_MAX": relax.op.max,
    "REDUCE_MIN": relax.op.min,
    "REDUCE_PROD": relax.op.prod,
    "SUM": relax.op.sum,
}


def axes_of(node: Node) -> list[int]:
    """Axes that ``node`` reduces, from 0, each once."""
    rank = len(node.source(0).shape)
    axes = {int(axis) % max(1, rank) for axis in np.asarray(node.constant(1, "its axes")).reshape(-1)}
    return sorted(axes)


@converter(*_REDUCE)
def reduce(node: Node) -> relax.Expr:
    if node.op == "MEAN" and node.source(0).dtype not in ("float32", "float16"):
        raise Refused("means of integers are not computed")
    axes = axes_of(node)
    if not axes:  # of no axis nothing is reduced, where Relax takes all
        return node.tensor(0)
    return _REDUCE[node.op](node.tensor(0), axis=axes, keepdims=bool(node.option("keepDims", False)))


@converter("REDUCE_MAX", "REDUCE_MIN", quantized=True)
def quantized_extreme(node: Node) -> relax.Expr:
    return reduce(node)


@converter("REDUCE_ANY", "REDUCE_ALL")
def reduce_bool(node: Node) -> relax.Expr:
    compute = relax.op.max if node.op == "REDUCE_ANY" else relax.op.min
    found = compute(
        relax.op.astype(node.tensor(0), "int8"), axis=axes_of(node), keepdims=bool(node.option("keepDims", False))
    )
    return relax.op.astype(found, "bool")
