"""Elements picked by a mask that is known: where it is not, the shape depends on it."""

from __future__ import annotations

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Value, as_expression, converter


@converter("Compress")
def compress(node: Node) -> Value:
    chosen = np.nonzero(node.constant(1, "its condition").reshape(-1))[0]
    axis = node.attribute("axis")
    data = node.tensor(0)
    if axis is None:
        data = node.emit(relax.op.reshape(data, (-1,)))
    shape = [int(size) for size in data.ty.shape]
    axis = 0 if axis is None else int(axis) % len(shape)
    if not len(chosen):
        return np.zeros([0 if at == axis else size for at, size in enumerate(shape)], np.dtype(node.dtype(0)))
    return node.emit(relax.op.take(data, as_expression(chosen.astype(np.int64)), axis=axis))
