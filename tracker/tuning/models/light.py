"""Real networks for demonstrations and tests: those that the ``onnx`` package carries, with random weights.

    python -m tvm_farm.tracker.tuning.models.light light_squeezenet FILE

The package keeps nine networks small by letting every weight be one constant
(onnx/backend/test/data/light). Such a network gives every class the same score, so comparing its
answers proves nothing; here each constant is replaced by seeded random values of its shape.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

__all__ = ["light_network"]


def light_network(name: str, seed: int) -> bytes:
    """The ONNX file ``name`` (``light_squeezenet``, …) with weights drawn from ``seed``.

    Matrices and filters are normal with deviation sqrt(2 / fan in) (He et al., 2015), which keeps
    activations around 1; vectors are positive, as they may be scales and variances. Raises
    FileNotFoundError where the onnx package has no such network.
    """
    model = onnx.load(Path(onnx.__file__).parent / f"backend/test/data/light/{name}.onnx")
    random = np.random.default_rng(seed)
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type != "ConstantOfShape":
            model.graph.node.append(node)
            continue
        shape = tuple(int(size) for size in shapes[node.input[0]])
        value = random.standard_normal(shape) * np.sqrt(2.0 / max(1, int(np.prod(shape[1:]))))
        positive = np.abs(value) + 0.5 if len(shape) == 1 else value
        model.graph.initializer.append(numpy_helper.from_array(positive.astype(np.float32), node.output[0]))
    used = {source for node in model.graph.node for source in node.input}
    for tensors in (model.graph.initializer, model.graph.input):
        for tensor in [tensor for tensor in tensors if tensor.name not in used]:
            tensors.remove(tensor)
    model.ir_version = max(model.ir_version, 4)  # from here on an initializer need not be an input as well
    return bytes(model.SerializeToString())


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(light_network(sys.argv[1], seed=0))
