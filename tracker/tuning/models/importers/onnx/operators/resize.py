"""Resize and Upsample of every version: tables while importing, gathers and a few products at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, converter
from tvm_farm.tracker.tuning.models.importers.onnx.operators.resample import resampled
from tvm_farm.tracker.tuning.models.importers.onnx.operators.taps import Axis, Taps, nearest_taps, weighted_taps

_MODES = {"bilinear": "linear", "trilinear": "linear"}


# ONNX infers output sizes of Upsample in double precision, ONNX Runtime computes them in single.
@converter("Upsample", own_shapes=True)
@converter("Resize")
def resize(node: Node) -> Value:
    axes = _old_axes(node) if node.op == "Upsample" or node.opset < 11 else _axes(node)
    mode = str(node.attribute("mode", "nearest"))
    mode = _MODES.get(mode, mode)
    changed = {number: axis for number, axis in axes.items() if not axis.unchanged}
    if not changed:
        return node.value(0)
    sizes = [axes[number].wanted if number in axes else size for number, size in enumerate(node.shape(0))]
    if 0 in sizes:
        return np.zeros(sizes, np.dtype(node.dtype(0)))
    taps = {number: _taps(node, mode, axis) for number, axis in changed.items()}
    # ONNX Runtime drops the fraction of an integer that was interpolated, but rounds where it filters.
    truncate = mode == "linear" and not node.attribute("antialias", 0)
    return resampled(node, taps, float(node.attribute("extrapolation_value", 0.0)), truncate)


def _taps(node: Node, mode: str, axis: Axis) -> Taps:
    if mode == "nearest":
        old = node.op == "Upsample" or node.opset < 11
        return nearest_taps(axis, "simple" if old else node.attribute("nearest_mode", "round_prefer_floor"))
    antialias, exclude = bool(node.attribute("antialias", 0)), bool(node.attribute("exclude_outside", 0))
    if mode == "linear":
        return weighted_taps(axis, lambda x: np.maximum(1 - x, 0), 1, antialias, exclude)
    if mode == "cubic":
        a = float(np.float32(node.attribute("cubic_coeff_a", -0.75)))
        return weighted_taps(axis, lambda x: _keys(x, a), 2, antialias, exclude)
    raise Refused(f"ONNX has no mode {mode}")


def _keys(x: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """Cubic convolution: Keys, "Cubic convolution interpolation for digital image processing", 1981, equation 4."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _old_axes(node: Node) -> dict[int, Axis]:
    """Up to operator set 10 coordinates are divided by the scale."""
    shape = node.shape(0)
    if node.op == "Upsample" and node.opset < 7:
        scales = [1.0] * (len(shape) - 2) + [node.attribute("height_scale"), node.attribute("width_scale")]
    elif node.op == "Upsample" and node.opset < 9:
        scales = list(node.attribute("scales"))
    elif node.op == "Upsample" and node.opset > 9:
        raise Refused("ONNX has no Upsample after operator set 9")
    else:
        scales = list(node.constant(1, "its scales").reshape(-1))
    return _scaled(shape, dict(enumerate(scales)), "asymmetric", {})


def _axes(node: Node) -> dict[int, Axis]:
    shape = node.shape(0)
    named = node.attribute("axes")
    axes = [int(axis) % len(shape) for axis in named] if named is not None else list(range(len(shape)))
    transform = str(node.attribute("coordinate_transformation_mode", "half_pixel"))
    regions = _regions(node, axes) if transform == "tf_crop_and_resize" else {}
    if _given(node, 2):
        return _scaled(shape, _by_axis(node, axes, 2, "scales"), transform, regions)
    if not _given(node, 3):
        raise Refused("it has neither scales nor sizes")
    sizes = _by_axis(node, axes, 3, "sizes")
    ratios = {axis: np.float32(size) / np.float32(shape[axis] or 1) for axis, size in sizes.items()}
    policy = node.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        if policy not in ("not_larger", "not_smaller"):
            raise Refused(f"ONNX has no keep_aspect_ratio_policy {policy}")
        scale = (min if policy == "not_larger" else max)(ratios.values())
        ratios = dict.fromkeys(ratios, scale)
        sizes = {axis: np.floor(scale * np.float32(shape[axis]) + np.float32(0.5)) for axis in sizes}
    return {
        axis: Axis(shape[axis], int(size), ratios[axis], transform, regions.get(axis, (np.float32(0), np.float32(1))))
        for axis, size in sizes.items()
    }


def _scaled(
    shape: tuple[int, ...],
    scales: Mapping[int, Any],
    transform: str,
    regions: Mapping[int, tuple[np.float32, np.float32]],
) -> dict[int, Axis]:
    if len(scales) > len(shape) or any(not scale > 0 for scale in scales.values()):
        raise Refused(f"its scales {[float(scale) for scale in scales.values()]} do not fit its input {list(shape)}")
    found = {}
    for axis, scale in scales.items():
        single = np.float32(scale)
        region = regions.get(axis, (np.float32(0), np.float32(1)))
        found[axis] = Axis(shape[axis], int(np.floor(single * np.float32(shape[axis]))), single, transform, region)
    return found


def _given(node: Node, position: int) -> bool:
    """An empty constant is an input left out: operator set 11 knew no other way."""
    return node.has(position) and 0 not in node.shape(position)


def _by_axis(node: Node, axes: list[int], position: int, what: str) -> dict[int, Any]:
    values = node.constant(position, f"its {what}").reshape(-1)
    if len(values) != len(axes):
        raise Refused(f"its {len(values)} {what} do not fit its {len(axes)} axes")
    return dict(zip(axes, values, strict=True))


def _regions(node: Node, axes: list[int]) -> dict[int, tuple[np.float32, np.float32]]:
    if not _given(node, 1):
        return {}
    bounds = node.constant(1, "the region of its crop").reshape(-1).astype(np.float32)
    if len(bounds) != 2 * len(axes):
        raise Refused(f"its region has {len(bounds)} bounds for {len(axes)} axes")
    return {axis: (bounds[at], bounds[at + len(axes)]) for at, axis in enumerate(axes)}
