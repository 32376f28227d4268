"""Pictures sampled where other values say: GridSample, DeformConv, and the grids of AffineGrid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, as_expression, converter
from tvm_farm.tracker.tuning.models.importers.onnx.operators.window import window_of

__all__ = ["interpolated"]

_MODES = {"bilinear": "linear", "bicubic": "cubic"}
#: Taps of each axis, and how many of them lie before the sampled position.
_TAPS = {"linear": (2, 0), "cubic": (4, 1)}
_FLOATS = ("float32", "float64")


@converter("GridSample")
def grid_sample(node: Node) -> Value:
    """Nearest is half to even; pixels outside are found a tap at a time: ONNX's reference and ONNX Runtime."""
    mode = str(node.attribute("mode", "linear"))
    mode = _MODES.get(mode, mode)
    padding = str(node.attribute("padding_mode", "zeros"))
    if mode not in ("nearest", *_TAPS) or padding not in _OUTSIDE:
        raise Refused(f"ONNX has no mode {mode} with padding {padding}")
    data, grid = node.shape(0), node.shape(1)
    if len(grid) != len(data) or grid[-1] != len(data) - 2 or grid[0] != data[0]:
        raise Refused(f"its grid {list(grid)} does not fit its input {list(data)}")
    wanted = (*data[:2], *grid[1:-1])
    if 0 in wanted:
        return np.zeros(wanted, np.dtype(node.dtype(0)))
    dtype = node.dtype(0)
    if mode != "nearest" and "float" not in dtype:
        raise Refused(f"it interpolates between values of {dtype}")
    align = bool(node.attribute("align_corners", 0))

    def sampled(data: te.Tensor, grid: te.Tensor) -> te.Tensor:
        space = [int(size) for size in data.shape[2:]]
        wide = "float64" if "float64" in (dtype, str(grid.dtype)) else "float32"
        sums = [te.reduce_axis((0, _TAPS[mode][0]), f"k{axis}") for axis in range(len(space)) if mode in _TAPS]

        def element(n: Any, c: Any, *at: Any) -> Any:
            # The grid holds the last axis of space first.
            where = [
                _pixel(grid(n, *at, len(space) - 1 - axis).astype(wide), size, align) for axis, size in enumerate(space)
            ]
            if mode == "nearest":
                taps = [tirx.nearbyint(x).astype("int64") for x in where]
                return _value(data, (n, c), taps, padding, align)
            return te.sum(_weighted(data, (n, c), where, sums, mode, padding, align, wide), axis=sums)

        found = te.compute(wanted, element, name="sampled")
        if str(found.dtype) == dtype:
            return found
        return te.compute(wanted, lambda *at: found(*at).astype(dtype), name="narrowed")

    return node.te(sampled, node.tensor(0), node.tensor(1))


def _pixel(x: Any, size: int, align: bool) -> Any:
    """Position among ``size`` pixels of a coordinate in [-1, 1]."""
    one, half = tirx.const(1, x.ty.dtype), tirx.const(0.5, x.ty.dtype)
    length = tirx.const(size - 1 if align else size, x.ty.dtype)
    return (x + one) * half * length if align else ((x + one) * length - one) * half


def _weighted(
    data: te.Tensor,
    first: Sequence[Any],
    where: Sequence[Any],
    taps: Sequence[Any],
    mode: str,
    padding: str,
    align: bool,
    wide: str,
) -> Any:
    index, weight = [], tirx.const(1, wide)
    for x, tap in zip(where, taps, strict=True):
        low = tirx.floor(x)
        step = tap - _TAPS[mode][1]
        weight = weight * _KERNELS[mode](tirx.abs(x - low - step.astype(wide)))
        index.append(low.astype("int64") + step.astype("int64"))
    return weight * _value(data, first, index, padding, align).astype(wide)


def _keys(x: Any) -> Any:
    """Cubic convolution with a = -0.75: Keys 1981, equation 4."""
    a = -0.75
    near = ((x * (a + 2) - (a + 3)) * x) * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return tirx.Select(x <= 1.0, near, far)


_KERNELS: dict[str, Callable[[Any], Any]] = {"linear": lambda x: 1.0 - x, "cubic": _keys}


def _value(data: te.Tensor, first: Sequence[Any], index: Sequence[Any], padding: str, align: bool) -> Any:
    """``data`` at ``first`` and at ``index`` in space, which may lie outside."""
    sizes = [int(size) for size in data.shape[2:]]
    inside = [_OUTSIDE[padding](i, size, align) for i, size in zip(index, sizes, strict=True)]
    found = data(*first, *inside)
    if padding != "zeros":
        return found
    known = tirx.all(*(tirx.all(i >= 0, i < size) for i, size in zip(index, sizes, strict=True)))
    return tirx.if_then_else(known, found, tirx.const(0, data.dtype))


def _clamped(i: Any, size: int, align: bool) -> Any:
    return tirx.max(tirx.min(i, size - 1), 0)


def _mirrored(i: Any, size: int, align: bool) -> Any:
    """Mirrored at the centres of the outer pixels where corners are aligned, else at their edges."""
    period = 2 * (size - 1) if align else 2 * size
    if not period:
        return 0
    place = tirx.floormod(i, period)
    return tirx.min(place, period - place if align else period - 1 - place)


_OUTSIDE: dict[str, Callable[[Any, int, bool], Any]] = {
    "zeros": _clamped,
    "border": _clamped,
    "reflection": _mirrored,
}


def interpolated(data: te.Tensor, first: Sequence[Any], y: Any, x: Any) -> Any:
    """``data`` [..., h, w] between its four pixels around ``y`` and ``x``; pixels outside are 0."""
    terms = []
    dtype = str(data.dtype)
    for dy in range(2):
        for dx in range(2):
            low = [tirx.floor(y), tirx.floor(x)]
            index = [low[0].astype("int64") + dy, low[1].astype("int64") + dx]
            parts = [
                v - v0 if d else tirx.const(1, dtype) - (v - v0) for v, v0, d in zip((y, x), low, (dy, dx), strict=True)
            ]
            terms.append(parts[0] * parts[1] * _value(data, first, index, "zeros", False))
    return (terms[0] + terms[1]) + (terms[2] + terms[3])


@converter("DeformConv")
def deform_conv(node: Node) -> Value:
    """Sampled columns, then a product with the weights. Inputs: X, W, offset, B, mask."""
    data, weight = node.shape(0), node.shape(1)
    if len(data) != 4:
        raise Refused(f"it has {len(data) - 2} axes of space; two are supported")
    windows = window_of(node, weight[2:])
    groups, parts = int(node.attribute("group", 1)), int(node.attribute("offset_group", 1))
    area, height, width = prod(weight[2:]), windows[0].wanted, windows[1].wanted
    if data[1] != weight[1] * groups or weight[0] % groups or data[1] % parts:
        raise Refused(f"its weights {list(weight)} in {groups} groups do not fit its input {list(data)}")
    if node.shape(2) != (data[0], parts * area * 2, height, width):
        raise Refused(f"its offsets {list(node.shape(2))} do not fit its {height} by {width} windows of {area}")
    dtype = node.dtype(0)
    wide = dtype if dtype in _FLOATS else "float32"
    given = [_as(node, node.value(0), wide), _as(node, node.value(2), wide)]
    if node.has(4):
        given.append(_as(node, node.value(4), wide))

    def columns(image: te.Tensor, offset: te.Tensor, *mask: te.Tensor) -> te.Tensor:
        def element(n: Any, c: Any, k: Any, i: Any, j: Any) -> Any:
            part = tirx.floordiv(c, data[1] // parts) * area + k
            where = []
            for axis, (window, at, step) in enumerate(
                zip(windows, (i, j), (tirx.floordiv(k, weight[3]), tirx.floormod(k, weight[3])), strict=True)
            ):
                place = at * window.stride - window.before + step * window.dilation
                where.append(place.astype(wide) + offset(n, part * 2 + axis, i, j))
            value = interpolated(image, (n, c), *where)
            return value * mask[0](n, part, i, j) if mask else value

        return te.compute((data[0], data[1], area, height, width), element, name="columns")

    sampled = node.te(columns, *given, name="deformed_columns")
    inner = weight[1] * area
    left = node.emit(relax.op.reshape(_as(node, node.value(1), wide), (1, groups, weight[0] // groups, inner)))
    right = node.emit(relax.op.reshape(sampled, (data[0], groups, inner, height * width)))
    found = node.emit(relax.op.reshape(node.emit(relax.op.matmul(left, right)), (data[0], weight[0], height, width)))
    if node.has(3):
        bias = node.emit(relax.op.reshape(_as(node, node.value(3), wide), (1, weight[0], 1, 1)))
        found = node.emit(relax.op.add(found, bias))
    return _as(node, found, dtype)


def _as(node: Node, value: Value, dtype: str) -> relax.Expr:
    if isinstance(value, np.ndarray):
        return as_expression(value.astype(dtype))
    return value if str(value.ty.dtype) == dtype else node.emit(relax.op.astype(value, dtype))


@converter("AffineGrid")
def affine_grid(node: Node) -> Value:
    """Coordinates [n, space..., x y z] of a picture turned by matrices [n, axes, axes + 1]."""
    sizes = [int(size) for size in node.constant(1, "its size").reshape(-1)]
    space, theta = sizes[2:], node.shape(0)
    if theta != (sizes[0], len(space), len(space) + 1):
        raise Refused(f"its matrices {list(theta)} do not fit a picture of {sizes}")
    wanted = (sizes[0], *space, len(space))
    if 0 in wanted:
        return np.zeros(wanted, np.dtype(node.dtype(0)))
    align = bool(node.attribute("align_corners", 0))
    # One pixel alone lies at -1 where corners are aligned: as numpy.linspace has it.
    lines = [np.linspace(-1, 1, size) if align else (2 * np.arange(size) + 1) / size - 1 for size in space]

    def grid(matrix: te.Tensor, *coordinates: te.Tensor) -> te.Tensor:
        def element(n: Any, *at: Any) -> Any:
            row = at[-1]
            total = matrix(n, row, len(space))
            for column, (line, i) in enumerate(zip(coordinates[::-1], at[-2::-1], strict=True)):
                total = matrix(n, row, column) * line(i) + total
            return total

        return te.compute(wanted, element, name="grid")

    return node.te(grid, node.tensor(0), *(line.astype(np.dtype(node.dtype(0))) for line in lines))
