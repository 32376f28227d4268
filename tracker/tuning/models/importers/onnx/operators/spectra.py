"""Fourier transforms as products with tables of cosines and sines, made while importing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
)
from tvm_farm.tracker.tuning.models.importers.onnx.operators.casting import cast_to
from tvm_farm.tracker.tuning.models.importers.onnx.operators.pointwise import HALVES, reshaped

#: A table of this many elements takes 256 MiB in float32, and its product as many steps a signal.
_MAX_TABLE = 1 << 26


@converter("DFT")
def dft(node: Node) -> Value:
    """The last dimension of the input is 1 (real) or 2 (complex); real numbers come out of a one-sided inverse."""
    shape, rank = node.shape(0), len(node.shape(0))
    inverse, onesided = bool(node.attribute("inverse", 0)), bool(node.attribute("onesided", 0))
    if node.opset >= 20:
        axis = int(node.constant(2, "its axis").item()) if node.has(2) else -2
    else:
        axis = int(node.attribute("axis", 1))
    axis %= rank
    whole = 2 * (shape[axis] - 1) if inverse and onesided else shape[axis]
    length = int(node.constant(1, "its length").item()) if node.has(1) else whole
    taken = length // 2 + 1 if inverse and onesided else length
    order = [k for k in range(rank - 1) if k != axis]
    value = as_expression(node.value(0))
    if shape[axis] > taken:
        value = node.emit(relax.op.strided_slice(value, [axis], [0], [taken]))
    if order != list(range(rank - 2)):
        value = node.emit(relax.op.permute_dims(value, [*order, axis, rank - 1]))
    table = _table(length, min(taken, shape[axis]), shape[-1], inverse, onesided)
    found = _product(node, value, table, 1 if inverse and onesided else 2)
    if order != list(range(rank - 2)):
        back = list(np.argsort([*order, axis]))
        found = node.emit(relax.op.permute_dims(as_expression(found), [*map(int, back), rank - 1]))
    return cast_to(node, found, node.dtype(0))


@converter("STFT")
def stft(node: Node) -> Value:
    """Frames of the signal, one product with the windowed table."""
    shape = node.shape(0)
    step = int(node.constant(1, "its step").item())
    window = node.value(2) if node.has(2) else None
    if node.has(3):
        length = int(node.constant(3, "the length of its frames").item())
    else:
        length = shape_of(window)[0] if window is not None else shape[1]
    count = (shape[1] - length) // step + 1
    places = np.arange(count)[:, None] * step + np.arange(length)[None, :]
    frames: Value = node.emit(relax.op.take(as_expression(node.value(0)), as_expression(places), axis=1))
    if window is not None:
        frames = node.emit(relax.op.multiply(frames, as_expression(reshaped(node, window, (length, 1)))))
    table = _table(length, length, shape[2], False, bool(node.attribute("onesided", 1)) and shape[2] == 1)
    return cast_to(node, _product(node, as_expression(frames), table), node.dtype(0))


def _table(length: int, taken: int, parts: int, inverse: bool, onesided: bool) -> NDArray[np.float64]:
    """Rows: ``taken`` samples of ``parts`` parts each; columns: as many frequencies (or samples) of 2 parts or 1."""
    real_out = inverse and onesided
    bins = length // 2 + 1 if onesided and not inverse else length
    if taken * parts * bins * 2 > _MAX_TABLE:
        raise Refused(f"a transform of {length} samples as a product needs a table of {taken}x{bins} numbers")
    angle = 2 * np.pi * (np.arange(taken)[:, None] * np.arange(bins)[None, :] % length) / length
    cos, sin = np.cos(angle), np.sin(angle) * (1 if inverse else -1)
    table = np.array([[cos, sin], [-sin, cos]])[:parts].transpose(2, 0, 3, 1)
    if real_out:  # the other half is the conjugate: all but the first and the middle count twice
        twice = np.where((np.arange(taken) == 0) | (2 * np.arange(taken) == length), 1, 2)
        table = table[..., :1] * twice[:, None, None, None]
    table = table / length if inverse else table
    return np.asarray(table.reshape(taken * parts, -1), np.float64)


def _product(node: Node, value: relax.Expr, table: np.ndarray, parts_out: int = 2) -> Value:
    """Of ``value`` [..., samples, parts] with ``table``: [..., frequencies, parts_out]."""
    *outer, taken, parts = shape_of(value)
    wide = "float64" if dtype_of(value) == "float64" else "float32"
    if dtype_of(value) in HALVES:
        value = as_expression(cast_to(node, value, wide))
    rows = node.emit(relax.op.reshape(value, (int(np.prod(outer, dtype=np.int64)), taken * parts)))
    found = node.emit(relax.op.matmul(rows, as_expression(table.astype(wide))))
    return reshaped(node, found, (*outer, table.shape[1] // parts_out, parts_out))
