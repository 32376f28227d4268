"""Normalizations. Means and variances are taken in two steps, in float32 where the elements are narrower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper
from tvm import relax, tirx

from tvm_farm.tracker.tuning.models.importers.onnx import stock
from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.casting import cast_to
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import (
    HALVES,
    cast,
    constant,
    pointwise,
    reshaped,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.reductions import mean

__all__ = ["centred", "layer_norm", "rms_norm", "stash"]


@converter("LayerNormalization")
def layer_normalization(node: Node) -> list[Value]:
    """Y, and the mean and the inverse deviation in the dtype of ``stash_type``."""
    kind, shape = node.dtype(0), node.shape(0)
    axes = _from(int(node.attribute("axis", -1)), len(shape))
    scale, bias = node.value(1), node.value(2) if node.has(2) else None
    return layer_norm(node, node.value(0), scale, bias, axes, kind)


@converter("RMSNormalization")
def rms_normalization(node: Node) -> list[Value]:
    axes = _from(int(node.attribute("axis", -1)), len(node.shape(0)))
    return rms_norm(node, node.value(0), node.value(1), axes, node.dtype(1))


@converter("InstanceNormalization")
def instance_normalization(node: Node) -> Value:
    kind, shape = node.dtype(0), node.shape(0)
    value = stash(node, node.value(0))
    normal, *_ = _normal(node, value, range(2, len(shape)))
    channels = [1, shape[1], *(1,) * (len(shape) - 2)]
    return _scaled(node, normal, kind, *(reshaped(node, node.value(k), channels) for k in (1, 2)))


@converter("GroupNormalization")
def group_normalization(node: Node) -> Value:
    """Before opset 21 scale and bias belong to groups, since then to channels."""
    kind, shape = node.dtype(0), node.shape(0)
    groups = int(node.attribute("num_groups"))
    value = reshaped(node, stash(node, node.value(0)), (shape[0], groups, shape[1] // groups, *shape[2:]))
    normal, *_ = _normal(node, value, range(2, len(shape) + 1))
    if node.opset < 21:
        per = [1, groups, *(1,) * (len(shape) - 1)]
        found = _scaled(node, normal, kind, *(reshaped(node, node.value(k), per) for k in (1, 2)))
        return reshaped(node, found, shape)
    per = [1, shape[1], *(1,) * (len(shape) - 2)]
    whole = reshaped(node, normal, shape)
    return _scaled(node, whole, kind, *(reshaped(node, node.value(k), per) for k in (1, 2)))


@converter("BatchNormalization")
def batch_normalization(node: Node) -> list[Value]:
    """In training the batch's own mean and variance count, and the running ones move towards them."""
    if not _trains(node):
        return stock.convert(node)
    if not node.attribute("spatial", 1):
        raise Refused("it normalizes each place on its own (spatial=0) in training mode")
    kind, shape = node.dtype(0), node.shape(0)
    axes = [0, *range(2, len(shape))]
    normal, average, variance = _normal(node, stash(node, node.value(0)), axes)
    per = [1, shape[1], *(1,) * (len(shape) - 2)]
    found = _scaled(node, normal, kind, *(reshaped(node, node.value(k), per) for k in (1, 2)))
    kept = float(node.attribute("momentum", 0.9))
    return [found, *(_moved(node, k, new, kept) for k, new in ((3, average), (4, variance)))]


@converter("MeanVarianceNormalization")
def mean_variance_normalization(node: Node) -> Value:
    """Without a scale; the function of ONNX's schema adds 1e-9 to the deviation."""
    axes = [int(axis) % len(node.shape(0)) for axis in node.attribute("axes", (0, 2, 3))]
    middle, _, variance = centred(node, stash(node, node.value(0)), axes)
    normal = pointwise(node, lambda x, v: x / (tirx.sqrt(v) + constant(1e-9, v)), middle, variance)
    return cast_to(node, normal, node.dtype(0))


def layer_norm(
    node: Node, value: Value, scale: Value, bias: Value | None, axes: Sequence[int], kind: str
) -> list[Value]:
    """Y as ``kind``, mean and inverse deviation. ``scale`` and ``bias`` broadcast from the last axes."""
    stashed = np.dtype(helper.tensor_dtype_to_np_dtype(node.attribute("stash_type", 1))).name
    normal, average, inverse = _normal(node, stash(node, value), axes, deviation=True)
    outputs = [_scaled(node, normal, kind, scale, bias), average, inverse]
    return [outputs[0], *(cast_to(node, each, stashed) for each in outputs[1:])]


def rms_norm(node: Node, value: Value, scale: Value, axes: Sequence[int], kind: str) -> list[Value]:
    """Y as ``kind`` and the inverse root of the mean square."""
    wide = stash(node, value)
    square = mean(node, pointwise(node, lambda x: x * x, wide), axes, True)
    inverse = pointwise(node, lambda v: _inverse(v, _epsilon(node)), square)
    normal = pointwise(node, lambda x, by: x * by, wide, inverse)
    return [_scaled(node, normal, kind, scale), inverse]


def centred(node: Node, value: Value, axes: Sequence[int]) -> tuple[Value, Value, Value]:
    """``value`` less its mean, the mean, the variance; the latter two keep their dimensions."""
    average = mean(node, value, axes, True)
    middle = node.emit(relax.op.subtract(as_expression(value), as_expression(average)))
    return middle, average, mean(node, pointwise(node, lambda x: x * x, middle), axes, True)


def stash(node: Node, value: Value) -> Value:
    return cast_to(node, value, "float32") if dtype_of(value) in HALVES else value


def _normal(
    node: Node, value: Value, axes: Sequence[int] | range, deviation: bool = False
) -> tuple[Value, Value, Value]:
    """Mean 0 and variance 1, with the mean and the variance, or its inverse root."""
    middle, average, variance = centred(node, value, list(axes))
    inverse = pointwise(node, lambda v: _inverse(v, _epsilon(node)), variance)
    normal = pointwise(node, lambda x, by: x * by, middle, inverse)
    return normal, average, inverse if deviation else variance


def _scaled(node: Node, normal: Value, kind: str, scale: Value, bias: Value | None = None) -> Value:
    """In the dtype of ``normal``, then as ``kind``: one rounding."""
    given = [normal, scale] if bias is None else [normal, scale, bias]

    def element(x: Any, by: Any, *plus: Any) -> Any:
        found = x * cast(by, str(x.ty))
        return cast(found + cast(plus[0], str(x.ty)) if plus else found, kind)

    return pointwise(node, element, *given)


def _moved(node: Node, position: int, new: Value, kept: float) -> Value:
    """The running statistic at ``position``, moved towards ``new``."""
    old = node.value(position)
    flat = reshaped(node, new, shape_of(old))

    def element(x: Any, y: Any) -> Any:
        return cast(cast(x, str(y.ty)) * constant(kept, y) + y * constant(1 - kept, y), dtype_of(old))

    return pointwise(node, element, old, flat)


def _trains(node: Node) -> bool:
    if node.opset >= 14:
        return bool(node.attribute("training_mode", 0))
    # Before, several outputs meant training, and before opset 7 is_test said otherwise.
    return len([name for name in node.outputs if name]) > 1 and not node.attribute("is_test", 0)


def _inverse(variance: Any, epsilon: float) -> Any:
    return constant(1, variance) / tirx.sqrt(variance + constant(epsilon, variance))


def _epsilon(node: Node) -> float:
    return float(node.attribute("epsilon", 1e-12 if node.op.startswith(("Skip", "Embed")) else 1e-5))


def _from(axis: int, rank: int) -> list[int]:
    return list(range(axis % rank, rank))
