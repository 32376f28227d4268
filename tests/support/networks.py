"""Networks for tests: real ones from the ``onnx`` package with random weights, and one that tunes in seconds."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: Small enough for every run of the suite.
LIGHT_NETWORKS = ["light_squeezenet", "light_shufflenet"]


def light_network(name: str, seed: int) -> bytes:
    """``name`` of onnx/backend/test/data/light, its constant weights replaced by seeded random ones.

    The originals are all of one value, so that any permutation of the arithmetic gives the same
    answer. Weights are drawn with a deviation of 1/sqrt(fan in), which keeps activations around 1.
    """
    model = onnx.load(Path(onnx.__file__).parent / f"backend/test/data/light/{name}.onnx")
    random = np.random.default_rng(seed)
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes, weights = [], []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            nodes.append(node)
            continue
        shape = tuple(int(size) for size in shapes[node.input[0]])
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 4
        value = (random.standard_normal(shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)
        # Scales and variances of a normalization must be positive.
        weights.append(numpy_helper.from_array(np.abs(value) + 0.5 if len(shape) == 1 else value, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(weights)
    model.ir_version = max(model.ir_version, 4)  # from here on an initializer need not be an input as well
    return model.SerializeToString()


def small_network(seed: int, channels: int = 8, size: int = 12) -> bytes:
    """Two convolutions and a dense layer with random weights: three small tasks and some trivial ones."""
    random = np.random.default_rng(seed)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array((random.standard_normal(shape) * 0.2).astype(np.float32), name)

    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c1"], ["r1"]),
            helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c2"], ["r2"]),
            helper.make_node("Flatten", ["r2"], ["flat"]),
            helper.make_node("Gemm", ["flat", "w3", "b3"], ["y"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [
            weight("w1", channels, 3, 3, 3),
            weight("b1", channels),
            weight("w2", channels, channels, 3, 3),
            weight("b2", channels),
            weight("w3", channels * size * size, 10),
            weight("b3", 10),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
