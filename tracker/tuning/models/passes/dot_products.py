"""Dot products of four bytes, which CPUs have instructions for: what they take, and convolutions written for them.

MetaSchedule tensorizes these loops with its intrinsics dot_16x4 (AVX-512, VNNI) and dot_4x4 (Arm's sdot). x86
multiplies uint8 by int8, Arm alike signs: integers of the other sign are shifted by 128, and the sums corrected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import te
from tvm.target import codegen

from tvm_farm.tracker.tuning.models.passes.windows import Sizes, at, image, padded

__all__ = ["DEPTH", "Dots", "dots_from_blocks", "dots_of", "packed_for_dots", "rows_by_packed"]

#: Bytes that one instruction sums.
DEPTH = 4


@dataclass(frozen=True)
class Dots:
    """``dtype``: of the data, weights are int8. ``lanes``: sums an instruction makes."""

    dtype: str
    lanes: int


def dots_of(target: tvm.target.Target) -> Dots | None:
    """What ``target`` has; None where schedules know of nothing."""
    if str(target.kind.name) != "llvm":
        return None
    if any(codegen.llvm_cpu_has_features(feature, target) for feature in ("avx512vnni", "avx512bw")):
        return Dots("uint8", 16)
    if "arm_cpu" in target.keys and codegen.llvm_cpu_has_features("dotprod", target):
        return Dots("int8", 4)
    return None


def packed_for_dots(weight: np.ndarray, inner: int, block: int) -> np.ndarray:
    """Weights [o, i, kh, kw] as [O, I, kh, kw, inner / 4, block, 4]."""
    outputs, channels, height, width = weight.shape
    parts = weight.reshape(outputs // block, block, channels // inner, inner // DEPTH, DEPTH, height, width)
    return np.ascontiguousarray(parts.transpose(0, 2, 5, 6, 3, 1, 4))


def dots_from_blocks(
    data: te.Tensor, weight: te.Tensor, lanes: int, strides: Sizes, padding: Sizes, dilation: Sizes, value: int
) -> te.Tensor:
    """``data`` [n, I, h, w, i] padded with ``value``, ``weight`` [O, I, kh, kw, i / 4, o, 4] -> [n, O, h, w, o]."""
    outer, chunks, height, width, quads, block, depth = (int(size) for size in weight.shape)
    source = padded(data, padding, value)
    place = at(strides, dilation)
    rows, columns = te.reduce_axis((0, height), "kh"), te.reduce_axis((0, width), "kw")
    chunk = te.reduce_axis((0, chunks), "ic")
    quad, byte = te.reduce_axis((0, quads), "iq"), te.reduce_axis((0, depth), "ib")

    def element(n: Any, o: Any, h: Any, w: Any, part: Any, lane: Any) -> Any:
        left = source(n, chunk, *place(h, w, rows, columns), quad * depth + byte)
        right = weight[o, chunk, rows, columns, quad, part * lanes + lane, byte]
        return te.sum(left.astype("int32") * right.astype("int32"), axis=[chunk, rows, columns, quad, byte])

    shape = [data.shape[0], outer, *image(source, [height, width], strides, dilation), block // lanes, lanes]
    return _joined(te.compute(shape, element, name="conv2d_dots"))


def _joined(sums: te.Tensor) -> te.Tensor:
    """The last two axes as one. Apart until here no schedule vectorizes over instructions, which does not compile."""
    *shape, parts, lanes = (int(size) for size in sums.shape)
    return te.compute(
        [*shape, parts * lanes],
        lambda *places: sums(*places[:-1], places[-1] // lanes, places[-1] % lanes),
        name="joined",
    )


def rows_by_packed(data: te.Tensor, weight: te.Tensor) -> te.Tensor:
    """``data`` [..., k] by ``weight`` [n / b, k / 4, b, 4] in int32 [..., n]."""
    columns, quads, block, depth = (int(size) for size in weight.shape)
    quad, byte = te.reduce_axis((0, quads), "kq"), te.reduce_axis((0, depth), "kb")

    def dots(*places: Any) -> Any:
        *before, outer, inner = places
        left = data(*before, quad * depth + byte).astype("int32")
        return te.sum(left * weight[outer, quad, inner, byte].astype("int32"), axis=[quad, byte])

    return _joined(te.compute([*data.shape[:-1], columns, block], dots, name="matmul_dots"))
