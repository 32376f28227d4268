"""Resampling along one axis as a table: which inputs an output is made of, and how much of each.

Coordinates are single precision, as ONNX Runtime computes them: where one lies on the edge between two pixels, the
nearest is the one that the judge takes. Meaning of the modes: ONNX's Resize-19 and its reference implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_farm.tracker.tuning.models.importers.onnx.node import Refused

__all__ = ["Axis", "Taps", "nearest_taps", "weighted_taps"]

Coordinates = NDArray[np.float32]


@dataclass(frozen=True)
class Axis:
    """One axis to be resampled from ``given`` to ``wanted`` elements. ``scale``: as the file has it, or their ratio."""

    given: int
    wanted: int
    scale: np.float32
    #: ``coordinate_transformation_mode``.
    transform: str
    #: Start and end of the region, 0 to 1, of ``tf_crop_and_resize``.
    region: tuple[np.float32, np.float32] = (np.float32(0), np.float32(1))

    @property
    def unchanged(self) -> bool:
        """Whether its elements stay what they are."""
        whole = self.transform != "tf_crop_and_resize" or (self.region[0] == 0 and self.region[1] == 1)
        return whole and self.given == self.wanted and self.scale == 1

    def coordinates(self) -> Coordinates:
        """Where each output lies on the input's axis."""
        if self.transform not in _TRANSFORMS:
            raise Refused(f"ONNX has no coordinate transformation {self.transform}")
        found: Coordinates = _TRANSFORMS[self.transform](self, np.arange(self.wanted, dtype=np.float32))
        return found.astype(np.float32)

    def outside(self, where: Coordinates) -> NDArray[np.bool_] | None:
        """Outputs that get the extrapolation value; None where there are none."""
        if self.transform != "tf_crop_and_resize":
            return None
        found: NDArray[np.bool_] = (where < 0) | (where > self.given - 1)
        return found if found.any() else None


@dataclass(frozen=True)
class Taps:
    """``index`` [wanted, n]: inputs of each output, neighbours. ``weight`` [wanted, n]: how much of each, None where n
    is 1 and the input is taken as it is. ``slope``: about how far ``index`` moves from an output to the next.
    ``outside`` [wanted]: outputs that get the extrapolation value."""

    index: NDArray[np.int64]
    weight: NDArray[np.float64] | None
    slope: float
    outside: NDArray[np.bool_] | None = None

    @property
    def count(self) -> int:
        return int(self.index.shape[1])


def nearest_taps(axis: Axis, rounding: str) -> Taps:
    """The nearest input of each output. ``rounding``: ``nearest_mode``, or ``simple``, that of operator set 10."""
    where = axis.coordinates()
    half = np.float32(0.5)
    if rounding == "simple":
        rounding = "ceil" if axis.scale < 1 else "floor"
    if rounding not in _ROUNDINGS:
        raise Refused(f"ONNX has no nearest_mode {rounding}")
    index = np.clip(_ROUNDINGS[rounding](where, half).astype(np.int64), 0, axis.given - 1)
    return Taps(index[:, None], None, _slope(where), axis.outside(where))


def weighted_taps(axis: Axis, kernel: Callable[[Any], Any], radius: int, antialias: bool, exclude: bool) -> Taps:
    """Inputs within ``radius`` of each output, weighted by ``kernel`` of their distance.

    ``antialias`` stretches the kernel where the axis shrinks; ``exclude`` gives inputs outside no weight, else they
    are those at the edge.
    """
    where = axis.coordinates()
    stretch = min(float(axis.scale), 1.0) if antialias else 1.0
    reach = int(np.ceil(radius / stretch))
    index = np.floor(where).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    weight = kernel(np.abs(index - where.astype(np.float64)[:, None]) * stretch)
    if exclude:
        weight[(index < 0) | (index >= axis.given)] = 0
    if exclude or antialias:
        weight = weight / weight.sum(axis=1, keepdims=True)
    first, weight = _narrowed(np.clip(index, 0, axis.given - 1), weight)
    return Taps(first + np.arange(weight.shape[1]), weight, _slope(where), axis.outside(where))


def _slope(where: Coordinates) -> float:
    return abs(float(where[-1]) - float(where[0])) / max(len(where) - 1, 1)


def _narrowed(index: NDArray[np.int64], weight: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """First input of each output [n, 1], and the weights of it and its neighbours, as few as the widest needs."""
    first = np.min(index, axis=1, where=weight != 0, initial=np.max(index), keepdims=True)
    last = index.max(axis=1, where=weight != 0, initial=0, keepdims=True)
    count = max(1, int(np.max(last - first)) + 1)
    first = np.minimum(first, np.max(index) - count + 1).clip(0)
    total = np.zeros((len(index), count))
    for column in range(index.shape[1]):
        offset = index[:, column] - first[:, 0]
        inside = (offset >= 0) & (offset < count)
        np.add.at(total, (np.nonzero(inside)[0], offset[inside]), weight[inside, column])
    return first, total


def _half_pixel(axis: Axis, x: Coordinates) -> Any:
    return (x + np.float32(0.5)) / axis.scale - np.float32(0.5)


def _pytorch_half_pixel(axis: Axis, x: Coordinates) -> Any:
    return _half_pixel(axis, x) if axis.wanted > 1 else np.zeros_like(x)


def _symmetric(axis: Axis, x: Coordinates) -> Any:
    width = axis.scale * np.float32(axis.given)
    return np.float32(axis.given / 2) * (1 - np.float32(axis.wanted) / width) + _half_pixel(axis, x)


def _align_corners(axis: Axis, x: Coordinates) -> Any:
    # The text of ONNX has the whole length here; its reference and its tests have the fractional one.
    length = axis.scale * np.float32(axis.given)
    return x * np.float32(axis.given - 1) / (length - 1) if length != 1 else np.zeros_like(x)


def _crop(axis: Axis, x: Coordinates) -> Any:
    (start, end), last = axis.region, np.float32(axis.given - 1)
    if axis.wanted == 1:
        return x + np.float32(0.5) * (start + end) * last
    return start * last + x * (end - start) * last / np.float32(axis.wanted - 1)


_TRANSFORMS: dict[str, Callable[[Axis, Coordinates], Any]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": _pytorch_half_pixel,
    "align_corners": _align_corners,
    "asymmetric": lambda axis, x: x / axis.scale,
    "tf_half_pixel_for_nn": lambda axis, x: (x + np.float32(0.5)) / axis.scale,
    "tf_crop_and_resize": _crop,
}
_ROUNDINGS: dict[str, Callable[[Coordinates, np.float32], Coordinates]] = {
    "round_prefer_floor": lambda where, half: np.ceil(where - half),
    "round_prefer_ceil": lambda where, half: np.floor(where + half),
    "floor": lambda where, half: np.floor(where),
    "ceil": lambda where, half: np.ceil(where),
}
