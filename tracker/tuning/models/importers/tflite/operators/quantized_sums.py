"""Operators on int8 and uint8 that add up along axes: means and probabilities."""

from __future__ import annotations

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.tflite.operators.reduction import axes_of
from tvm_farm.tracker.tuning.models.importers.tflite.operators.scales import (
    Factor,
    clamp_of,
    factor_of,
    rescaled,
    scale_of,
)
from tvm_farm.tracker.tuning.models.importers.values import Refused

__all__: list[str] = []


@converter("MEAN", quantized=True)
def mean(node: Node) -> relax.Expr:
    """Bit by bit (LiteRT, internal/reference/reduce.h): the division goes into the factor as far as it fits."""
    source, output = node.source(0), node.outputs[0]
    axes, clamp = axes_of(node), clamp_of(node)
    count = int(np.prod([source.shape[axis] for axis in axes], dtype=np.int64))
    factor = factor_of(float(scale_of(source)) / float(scale_of(output)))
    shift = min(count.bit_length() - 1, 32, 31 + factor.shift)
    factor = Factor((factor.multiplier << shift) // count, factor.shift - shift)
    total = relax.op.astype(node.tensor(0), "int32")
    if axes:
        total = relax.op.sum(total, axis=axes, keepdims=bool(node.option("keepDims", False)))

    def stored(x: te.Tensor) -> te.Tensor:
        return te.compute(
            x.shape, lambda *at: clamp.of(rescaled(x(*at) - source.zero * count, factor) + output.zero), "stored"
        )

    return node.te(stored, node.emit(total))


@converter("SOFTMAX", quantized=True)
def softmax(node: Node) -> relax.Expr:
    """At most one step from LiteRT's kernel, whose powers and quotients are of fixed point; here they are float32."""
    source, output = node.source(0), node.outputs[0]
    if source.dtype not in ("int8", "uint8"):
        raise Refused(f"its input is quantized to {source.dtype}; the farm computes with int8 and uint8")
    step = float(scale_of(source)) * float(node.option("beta", 1.0))
    powers = np.exp(-step * np.arange(256)).astype(np.float32)
    clamp, per_unit = clamp_of(node), float(1 / scale_of(output))
    width = source.shape[-1]

    def chosen(x: te.Tensor, table: te.Tensor) -> te.Tensor:
        k, j = te.reduce_axis((0, width), "k"), te.reduce_axis((0, width), "j")
        rows = x.shape[:-1]
        top = te.compute(rows, lambda *at: te.max(x(*at, k).astype("int32"), axis=k), "top")
        power = te.compute(x.shape, lambda *at: table(top(*at[:-1]) - x(*at).astype("int32")), "power")
        total = te.compute(rows, lambda *at: te.sum(power(*at, j), axis=j), "total")

        def stored(*at: tirx.Var) -> tirx.Expr:
            share = power(*at) / total(*at[:-1]) * tirx.const(per_unit, "float32")
            return clamp.of((share + tirx.const(0.5, "float32")).astype("int32") + output.zero)

        return te.compute(x.shape, stored, "stored")

    return node.te(chosen, node.tensor(0), powers)
