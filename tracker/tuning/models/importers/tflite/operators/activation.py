"""What many operators do to their answer before they give it."""

from __future__ import annotations

from ai_edge_litert.schema_py_generated import ActivationFunctionType as Kind
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node
from tvm_farm.tracker.tuning.models.importers.values import Refused

__all__ = ["activated", "limits_of"]

#: Lowest and highest value that each lets through.
_LIMITS = {
    Kind.NONE: (None, None),
    Kind.RELU: (0.0, None),
    Kind.RELU_N1_TO_1: (-1.0, 1.0),
    Kind.RELU6: (0.0, 6.0),
}


def limits_of(node: Node) -> tuple[float | None, float | None]:
    """Lowest and highest value after ``node``'s activation, None where it has no such limit."""
    kind = int(node.option("fusedActivationFunction"))
    if kind not in _LIMITS:
        raise Refused(f"its fused activation number {kind} is none that LiteRT's kernels apply here")
    return _LIMITS[kind]


def activated(node: Node, value: relax.Expr) -> relax.Expr:
    """``value`` after ``node``'s activation."""
    if int(node.option("fusedActivationFunction")) == Kind.TANH:
        return relax.op.tanh(value)
    low, high = limits_of(node)
    if low is None:
        return value
    return relax.op.nn.relu(value) if high is None else relax.op.clip(value, low, high)
