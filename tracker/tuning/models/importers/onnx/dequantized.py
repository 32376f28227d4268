"""Known weights remember the integers that they were dequantized from: products may be computed in those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node

__all__ = ["remembered", "with_integers"]

_PRODUCTS = {"Conv", "MatMul", "Gemm"}


@dataclass(frozen=True)
class _Source:
    """``scale`` and ``zero``: one number each, or one for each place along ``axis``."""

    integers: np.ndarray
    scale: np.ndarray
    zero: np.ndarray
    axis: int


class _Dequantized(np.ndarray):
    """Reals like any others, until they are moved or computed with: what comes of that has forgotten its source."""

    source: _Source | None = None


def remembered(node: Node, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """``values`` that ``node`` gave, which was computed while importing."""
    source = _source(node)
    if source is None or len(values) != 1 or values[0].dtype != np.float32:
        return list(values)
    found = values[0].view(_Dequantized)
    found.source = source
    return [found]


def with_integers(node: Node) -> Node:
    """``node`` with relax.dequantize of integers in place of its weights, where it is a product that has such."""
    if node.op not in _PRODUCTS or node.proto.domain not in ("", "ai.onnx"):
        return node
    given = [(value, getattr(value, "source", None)) for value in node.inputs[:2]]
    factors = [value if source is None else _expression(node, source) for value, source in given]
    return replace(node, inputs=(*factors, *node.inputs[2:]))


def _expression(node: Node, source: _Source) -> relax.Expr:
    arrays = [relax.const(np.ascontiguousarray(x)) for x in (source.integers, source.scale, source.zero)]
    return node.emit(relax.op.dequantize(*arrays, axis=source.axis, out_dtype="float32"))


def _source(node: Node) -> _Source | None:
    first = node.inputs[0] if node.inputs else None
    if node.op == "Transpose" and isinstance(first, _Dequantized) and first.source is not None:
        source, rank = first.source, first.ndim
        order = list(node.attribute("perm") or range(rank)[::-1])
        return replace(source, integers=source.integers.transpose(order), axis=order.index(source.axis))
    if node.op != "DequantizeLinear" or not isinstance(first, np.ndarray) or first.dtype.name not in ("int8", "uint8"):
        return None
    scale, zero = node.known(1), node.known(2)
    if scale is None or scale.dtype != np.float32 or first.ndim == 0:
        return None
    zero = np.zeros(scale.shape, first.dtype) if zero is None else zero
    if scale.size == 1 and zero.size == 1:
        return _Source(first, scale.reshape(()), zero.reshape(()), 0)
    axis = int(node.attribute("axis", 1))
    return _Source(first, scale, zero, axis % first.ndim) if scale.ndim == 1 else None
