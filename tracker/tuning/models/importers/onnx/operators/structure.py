"""What costs nothing once shapes are static: constants, names, shapes."""

from __future__ import annotations

import numpy as np

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, converter


@converter("Identity")
def identity(node: Node) -> Value:
    return node.value(0)


@converter("Shape")
def shape(node: Node) -> Value:
    sizes = np.array(node.shape(0), np.int64)
    return sizes[slice(node.attribute("start", 0), node.attribute("end"))]


@converter("Size")
def size(node: Node) -> Value:
    return np.array(np.prod(node.shape(0), dtype=np.int64))


@converter("Dropout")
def dropout(node: Node) -> list[Value]:
    training = node.has(2) and bool(node.constant(2, "its training mode"))
    if training and not (node.has(1) and node.known(1) is not None and not node.known(1)):
        raise Refused("it is in training mode")
    mask = np.dtype(bool) if node.opset >= 10 else np.dtype(node.dtype(0))
    return [node.value(0), np.ones(node.shape(0), mask)]
