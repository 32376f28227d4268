"""Resizing images, NHWC: where each pixel comes from is known while importing.

Coordinates as LiteRT's kernels/internal/reference/resize_bilinear.h and resize_nearest_neighbor.h have them.
"""

from __future__ import annotations

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.values import as_expression

__all__: list[str] = []

#: Bits behind the point of a coordinate among integers.
_BITS = 10


@converter("RESIZE_NEAREST_NEIGHBOR", quantized=None)
def nearest(node: Node) -> relax.Expr:
    node.constant(1, "its size")
    result = node.tensor(0)
    for axis in (1, 2):
        given, wanted = node.source(0).shape[axis], node.outputs[0].shape[axis]
        at = np.arange(wanted, dtype=np.float32)
        scale = _scale(node, given, wanted)
        half = np.float32(0.5 if node.option("halfPixelCenters", False) else 0.0)
        place = (at + half) * scale
        place = np.floor(place + np.float32(0.5)) if node.option("alignCorners", False) else np.floor(place)
        chosen = np.clip(place, 0, given - 1).astype(np.int32)
        result = node.emit(relax.op.take(result, as_expression(chosen), axis=axis, mode="clip"))
    return result


@converter("RESIZE_BILINEAR")
def bilinear(node: Node) -> relax.Expr:
    node.constant(1, "its size")
    rows, columns = (_taps(node, axis) for axis in (1, 2))

    def mixed(x: te.Tensor, *tables: te.Tensor) -> te.Tensor:
        top, bottom, down, left, right, along = tables
        one = tirx.const(1, x.dtype)

        def at(n: tirx.Var, h: tirx.Var, w: tirx.Var, c: tirx.Var) -> tirx.Expr:
            y, z = down(h), along(w)
            return (
                x(n, top(h), left(w), c) * (one - y) * (one - z)
                + x(n, bottom(h), left(w), c) * y * (one - z)
                + x(n, top(h), right(w), c) * (one - y) * z
                + x(n, bottom(h), right(w), c) * y * z
            )

        return te.compute(node.outputs[0].shape, at)

    return node.te(mixed, node.tensor(0), *rows, *columns)


@converter("RESIZE_BILINEAR", quantized=True)
def quantized_bilinear(node: Node) -> relax.Expr:
    node.constant(1, "its size")
    rows, columns = (_integer_taps(node, axis) for axis in (1, 2))

    def mixed(x: te.Tensor, *tables: te.Tensor) -> te.Tensor:
        top, bottom, down, left, right, along = tables
        one = tirx.const(1 << _BITS, "int32")

        def at(n: tirx.Var, h: tirx.Var, w: tirx.Var, c: tirx.Var) -> tirx.Expr:
            y, z = down(h), along(w)
            total = (
                x(n, top(h), left(w), c).astype("int32") * (one - y) * (one - z)
                + x(n, bottom(h), left(w), c).astype("int32") * y * (one - z)
                + x(n, top(h), right(w), c).astype("int32") * (one - y) * z
                + x(n, bottom(h), right(w), c).astype("int32") * y * z
            )
            half = 1 << (2 * _BITS - 1)
            return tirx.truncdiv(total + tirx.Select(total > 0, half, -half), 1 << 2 * _BITS).astype(x.dtype)

        return te.compute(node.outputs[0].shape, at)

    return node.te(mixed, node.tensor(0), *rows, *columns)


def _scale(node: Node, given: int, wanted: int) -> np.float32:
    if node.option("alignCorners", False) and wanted > 1:
        given, wanted = given - 1, wanted - 1
    scale: np.float32 = np.float32(given) / np.float32(wanted)
    return scale


def _taps(node: Node, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every row (or column) of the answer the two that it lies between, and how near it is to the second."""
    given, wanted = node.source(0).shape[axis], node.outputs[0].shape[axis]
    at, scale = np.arange(wanted, dtype=np.float32), _scale(node, given, wanted)
    half = np.float32(0.5)
    place = (at + half) * scale - half if node.option("halfPixelCenters", False) else at * scale
    low = np.maximum(np.floor(place), 0)
    high = np.minimum(np.ceil(place), given - 1)
    return low.astype(np.int32), high.astype(np.int32), (place - low).astype(np.float32)


def _integer_taps(node: Node, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Like ``_taps``, in whole steps of ``2 ** -_BITS``."""
    given, wanted = node.source(0).shape[axis], node.outputs[0].shape[axis]
    one = 1 << _BITS
    scale = (one * given + wanted // 2) // wanted
    if node.option("alignCorners", False) and wanted > 1:
        scale = (one * (given - 1) + (wanted - 1) // 2) // (wanted - 1)
    place = np.arange(wanted, dtype=np.int64) * scale
    if node.option("halfPixelCenters", False):
        place += scale // 2 - one // 2
    low = np.maximum(np.trunc(place / one).astype(np.int64), 0)
    high = np.minimum(np.trunc((place + one - 1) / one).astype(np.int64), given - 1)
    return low.astype(np.int32), high.astype(np.int32), (place - low * one).astype(np.int32)
