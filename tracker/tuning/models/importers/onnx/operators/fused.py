"""What ONNX Runtime's optimizer makes of transformers: operators of com.microsoft that several of ONNX's own make up.

Contracts: docs/ContribOperators.md of ONNX Runtime.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, as_expression, converter, dtype_of
from tvm_farm.tracker.tuning.models.importers.onnx.operators.convolution import convolution
from tvm_farm.tracker.tuning.models.importers.onnx.operators.normalizing import layer_norm, rms_norm
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import constant, pointwise, tanh, widened
from tvm_farm.tracker.tuning.models.importers.onnx.operators.products import gemm, permuted

_MICROSOFT = "com.microsoft"


@converter("Gelu", "BiasGelu", "FastGelu", "QuickGelu", domain=_MICROSOFT)
def gelu(node: Node) -> Value:
    rule: Callable[..., Any] = _tanh_gelu if node.op == "FastGelu" else _gelu
    if node.op == "QuickGelu":
        rule = partial(_swish, alpha=float(node.attribute("alpha", 1.702)))
    if not node.has(1):
        return pointwise(node, widened(rule), node.value(0))
    return pointwise(node, widened(lambda x, bias: rule(x + bias)), node.value(0), node.value(1))


@converter("Gelu")
def onnx_gelu(node: Node) -> Value:
    rule = _tanh_gelu if node.attribute("approximate", "none") == "tanh" else _gelu
    return pointwise(node, widened(rule), node.value(0))


@converter("Swish")
def swish(node: Node) -> Value:
    return pointwise(node, widened(partial(_swish, alpha=float(node.attribute("alpha", 1.0)))), node.value(0))


@converter("BiasSplitGelu", domain=_MICROSOFT)
def bias_split_gelu(node: Node) -> Value:
    """The first half of the channels times the gelu of the second."""
    *outer, channels = node.shape(0)
    half = channels // 2

    def program(x: te.Tensor, bias: te.Tensor) -> te.Tensor:
        def element(*at: Any) -> Any:
            *front, place = at
            left, right = (x(*front, place + k) + bias(place + k) for k in (0, half))
            return widened(lambda a, b: a * _gelu(b))(left, right)

        return te.compute((*outer, half), element, name="bias_split_gelu")

    return node.te(program, node.value(0), node.value(1))


@converter("SimplifiedLayerNormalization")
@converter("SimplifiedLayerNormalization", domain=_MICROSOFT)
def simplified(node: Node) -> list[Value]:
    rank = len(node.shape(0))
    axes = list(range(int(node.attribute("axis", -1)) % rank, rank))
    return rms_norm(node, node.value(0), node.value(1), axes, node.dtype(1))


@converter("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=_MICROSOFT)
def skip_normalization(node: Node) -> list[Value]:
    """Of the sum of input, skip and bias, which is the fourth output."""
    plain = node.op == "SkipLayerNormalization"
    bias = 4 if plain else 3
    terms = [node.value(position) for position in (0, 1, bias) if node.has(position)]
    kind, axes = node.dtype(0), [len(node.shape(0)) - 1]
    total = pointwise(node, widened(lambda *each: sum(each[1:], each[0])), *terms)
    if not plain:
        if any(node.outputs[1:2]):
            raise Refused("it is asked for a mean, and this normalization takes none")
        normal, inverse = rms_norm(node, total, node.value(2), axes, kind)
        return [normal, np.zeros(0, np.float32), inverse, total]
    beta = node.value(3) if node.has(3) else None
    return [*layer_norm(node, total, node.value(2), beta, axes, kind), total]


@converter("EmbedLayerNormalization", domain=_MICROSOFT)
def embed_layer_normalization(node: Node) -> list[Value]:
    """Words, places and segments, summed and normalized; how many tokens the mask leaves; the sum."""
    ids, (batch, length) = node.value(0), node.shape(0)
    total = _taken(node, 2, ids)
    places = node.value(8) if node.has(8) else np.arange(length, dtype=np.int32)[None, :]
    total = pointwise(node, widened(lambda x, y: x + y), total, _taken(node, 3, places))
    if node.has(4):
        segments = node.value(1) if node.has(1) else np.zeros((batch, length), np.int32)
        total = pointwise(node, widened(lambda x, y: x + y), total, _taken(node, 4, segments))
    normal, *_ = layer_norm(node, total, node.value(5), node.value(6), [2], dtype_of(total))
    if node.has(7):
        count: Value = node.emit(relax.op.sum(node.tensor(7), [1]))
    else:
        count = np.zeros(batch, np.int32)
    return [normal, count, total]


@converter("FusedGemm", domain=_MICROSOFT)
def fused_gemm(node: Node) -> Value:
    given = {name: node.attribute(f"activation_{name}") for name in ("alpha", "beta", "gamma")}
    return _activated(node, gemm(node), [x for x in given.values() if x is not None])


@converter("FusedConv", "NhwcFusedConv", "NhwcConv", domain=_MICROSOFT)
def fused_convolution(node: Node) -> Value:
    """Convolution, then Z is added, then the activation; in NHWC the weights lie as ever."""
    last = node.op.startswith("Nhwc")
    data, rank = node.value(0), len(node.shape(0))
    if last:
        data = permuted(node, data, (0, rank - 1, *range(1, rank - 1)))
    found = convolution(replace(node, inputs=(data, *node.inputs[1:3])))
    if last:
        found = permuted(node, found, (0, *range(2, rank), 1))
    if node.has(3):
        found = node.emit(relax.op.add(as_expression(found), node.tensor(3)))
    return _activated(node, found, list(node.attribute("activation_params", ())))


def _activated(node: Node, value: Value, numbers: list[float]) -> Value:
    """The attribute ``activation`` applied, its parameters in ONNX's order."""
    name = node.attribute("activation", "")
    rules: dict[str, Callable[..., Any]] = {
        "Relu": lambda x: tirx.Select(x > constant(0, x), x, constant(0, x)),
        "Tanh": tanh,
        "Sigmoid": tirx.sigmoid,
        "LeakyRelu": lambda x, a=0.01: tirx.Select(x < constant(0, x), x * constant(a, x), x),
        "Clip": lambda x, low, high: tirx.min(tirx.max(x, constant(low, x)), constant(high, x)),
        "HardSigmoid": lambda x, a=0.2, b=0.5: tirx.max(
            constant(0, x), tirx.min(constant(1, x), x * constant(a, x) + constant(b, x))
        ),
    }
    if not name:
        return value
    if name not in rules:
        raise Refused(f"its activation {name} is not one that ONNX Runtime's optimizer fuses")
    return pointwise(node, widened(lambda x: rules[name](x, *numbers)), value)


def _taken(node: Node, position: int, indices: Value) -> Value:
    return node.emit(relax.op.take(node.tensor(position), as_expression(indices), axis=0))


def _gelu(x: Any) -> Any:
    return x * constant(0.5, x) * (constant(1, x) + tirx.erf(x * constant(math.sqrt(0.5), x)))


def _tanh_gelu(x: Any) -> Any:
    inner = x * (constant(math.sqrt(2 / math.pi), x) + constant(0.044715 * math.sqrt(2 / math.pi), x) * x * x)
    return x * constant(0.5, x) * (constant(1, x) + tanh(inner))


def _swish(x: Any, alpha: float) -> Any:
    return x * tirx.sigmoid(x * constant(alpha, x))
