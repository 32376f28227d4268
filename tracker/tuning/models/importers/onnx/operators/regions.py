"""Regions of interest: RoiAlign, MaxRoiPool. How many samples a region takes may depend on its size."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import te, tirx

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, converter


@converter("RoiAlign")
def roi_align(node: Node) -> Value:
    """As ONNX's reference: the maximum is taken of weighted pixels, not of interpolated samples."""
    mode = str(node.attribute("mode", "avg"))
    half = str(
        node.attribute("coordinate_transformation_mode", "half_pixel" if node.opset >= 16 else "output_half_pixel")
    )
    if mode not in ("avg", "max") or half not in ("half_pixel", "output_half_pixel"):
        raise Refused(f"ONNX has no mode {mode} with {half}")
    height, width = int(node.attribute("output_height", 1)), int(node.attribute("output_width", 1))
    ratio, scale = int(node.attribute("sampling_ratio", 0)), float(node.attribute("spatial_scale", 1.0))
    wanted = (node.shape(1)[0], node.shape(0)[1], height, width)
    if 0 in wanted:
        return np.zeros(wanted, np.dtype(node.dtype(0)))
    if node.dtype(0) not in ("float32", "float64"):
        raise Refused(f"it samples values of {node.dtype(0)}; float32 and float64 are supported")

    def aligned(data: te.Tensor, regions: te.Tensor, images: te.Tensor) -> te.Tensor:
        dtype, (count, _, rows, columns) = str(data.dtype), (int(size) for size in data.shape)

        def element(r: Any, c: Any, *at: Any) -> Any:
            image = _within(images(r), count)
            axes = [
                _Axis(regions, r, axis, bins, size, scale, half == "half_pixel", ratio, dtype)
                for axis, bins, size in ((1, height, rows), (0, width, columns))
            ]
            steps = [_steps(axis.samples, f"k{number}") for number, axis in enumerate(axes)]
            y, x = (axis.sample(i, step) for axis, i, step in zip(axes, at, steps, strict=True))
            real = tirx.all(*(step < axis.samples for axis, step in zip(axes, steps, strict=True)))
            inside = tirx.all(real, y >= -1, y <= rows, x >= -1, x <= columns)
            corners = [
                wy * wx * data(image, c, iy, ix)
                for iy, wy in _corners(y, rows, dtype)
                for ix, wx in _corners(x, columns, dtype)
            ]
            zero = tirx.const(0, dtype)
            if mode == "avg":
                sample = (corners[0] + corners[1]) + (corners[2] + corners[3])
                total = tirx.max(axes[0].samples * axes[1].samples, 1).astype(dtype)
                return te.sum(tirx.if_then_else(inside, sample / total, zero), axis=steps)
            largest = tirx.max(tirx.max(corners[0], corners[1]), tirx.max(corners[2], corners[3]))
            return te.max(tirx.if_then_else(inside, largest, zero), axis=steps)

        return te.compute(wanted, element, name="aligned")

    return node.te(aligned, node.tensor(0), node.tensor(1), node.tensor(2))


class _Axis:
    """Bins and samples of region ``r`` along one axis. ``axis``: 0 is x, 1 is y."""

    def __init__(
        self,
        regions: te.Tensor,
        r: Any,
        axis: int,
        bins: int,
        size: int,
        scale: float,
        half: bool,
        ratio: int,
        dtype: str,
    ) -> None:
        self._dtype = dtype
        factor, shift = tirx.const(scale, dtype), tirx.const(0.5 if half else 0, dtype)
        self._start = regions(r, axis) * factor - shift
        length = regions(r, axis + 2) * factor - shift - self._start
        if not half:
            length = tirx.max(length, tirx.const(1, dtype))
        self._bin = length / tirx.const(bins, dtype)
        self.samples = tirx.const(ratio, "int64") if ratio > 0 else tirx.max(tirx.ceil(self._bin).astype("int64"), 0)

    def sample(self, i: Any, step: Any) -> Any:
        middle = (step.astype(self._dtype) + tirx.const(0.5, self._dtype)) * self._bin
        return self._start + i.astype(self._dtype) * self._bin + middle / self.samples.astype(self._dtype)


def _corners(position: Any, size: int, dtype: str) -> list[tuple[Any, Any]]:
    """The two pixels around ``position``, kept within, and the weight of each."""
    position = tirx.min(tirx.max(position, tirx.const(0, dtype)), tirx.const(size - 1, dtype))
    low = tirx.floor(position)
    part = position - low
    index = low.astype("int64")
    return [(index, tirx.const(1, dtype) - part), (tirx.min(index + 1, size - 1), part)]


def _steps(count: Any, name: str) -> Any:
    """A reduction over ``count`` and at least one: TVM writes nothing at all where there is nothing to reduce."""
    return te.reduce_axis((0, tirx.max(count, 1)), name)


def _within(image: Any, count: int) -> Any:
    """Kept within the batch: whoever measures the kernel fills its indices with anything."""
    return tirx.max(tirx.min(image.astype("int64"), count - 1), 0)


@converter("MaxRoiPool")
def max_roi_pool(node: Node) -> Value:
    """Rows of input 1 are the picture's number, then x and y of two corners, which belong to the region."""
    height, width = (int(size) for size in node.attribute("pooled_shape"))
    scale = float(node.attribute("spatial_scale", 1.0))
    wanted = (node.shape(1)[0], node.shape(0)[1], height, width)
    if 0 in wanted:
        return np.zeros(wanted, np.dtype(node.dtype(0)))
    if node.dtype(0) not in ("float32", "float64"):
        raise Refused(f"it pools values of {node.dtype(0)}; float32 and float64 are supported")

    def pooled(data: te.Tensor, regions: te.Tensor) -> te.Tensor:
        dtype, (count, _, rows, columns) = str(data.dtype), (int(size) for size in data.shape)

        def bounds(r: Any, i: Any, axis: int, bins: int, size: int) -> tuple[Any, Any]:
            factor = tirx.const(scale, dtype)
            first, last = (_rounded(regions(r, axis + at) * factor, dtype) for at in (1, 3))
            step = tirx.max(last - first + 1, 1).astype(dtype) / tirx.const(bins, dtype)
            start = tirx.floor(i.astype(dtype) * step).astype("int64") + first
            stop = tirx.ceil((i + 1).astype(dtype) * step).astype("int64") + first
            return _clip(start, size), _clip(stop, size)

        def element(r: Any, c: Any, i: Any, j: Any) -> Any:
            (top, bottom), (left, right) = bounds(r, i, 1, height, rows), bounds(r, j, 0, width, columns)
            down, across = _steps(bottom - top, "kh"), _steps(right - left, "kw")
            full = tirx.all(bottom > top, right > left)
            value = data(_within(regions(r, 0), count), c, top + down, left + across)
            return te.max(tirx.if_then_else(full, value, tirx.const(0, dtype)), axis=[down, across])

        return te.compute(wanted, element, name="pooled")

    return node.te(pooled, node.tensor(0), node.tensor(1))


def _rounded(value: Any, dtype: str) -> Any:
    """Half away from zero, as C rounds."""
    half = tirx.floor(tirx.abs(value) + tirx.const(0.5, dtype))
    return tirx.Select(value < 0, tirx.const(0, dtype) - half, half).astype("int64")


def _clip(value: Any, size: int) -> Any:
    return tirx.max(tirx.min(value, size), 0)
