"""Small ONNX files that ``farm check`` has something to say of."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["hindered", "picking", "sorting", "two_products", "widening"]


def two_products(batch: int | str = 4) -> onnx.ModelProto:
    """Matrix products of 32 -> 48 -> 10 with a Celu between, which ONNX writes as a function, and a folded shape."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "first"),
        helper.make_node("Celu", ["h"], ["a"], "celu"),
        helper.make_node("Shape", ["a"], ["s"], "shape"),
        helper.make_node("Gather", ["s", "one"], ["width"], "width"),
        helper.make_node("Concat", ["minus", "width"], ["dims"], "dims", axis=0),
        helper.make_node("Reshape", ["a", "dims"], ["r"], "flat"),
        helper.make_node("MatMul", ["r", "v"], ["y"], "second"),
    ]
    random = np.random.default_rng(0)
    constants = {
        "w": random.standard_normal((32, 48)).astype(np.float32),
        "v": random.standard_normal((48, 10)).astype(np.float32),
        "one": np.array([1]),
        "minus": np.array([-1]),
    }
    return _model(nodes, {"x": (TensorProto.FLOAT, [batch, 32])}, {"y": [batch, 10]}, constants)


def widening() -> onnx.ModelProto:
    """A small file whose output of 100 MiB is its input, again and again."""
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Tile", ["r", "times"], ["y"])]
    constants = {"times": np.array([25 << 10, 1])}
    return _model(nodes, {"x": (TensorProto.FLOAT, [1, 1024])}, {"y": [25 << 10, 1024]}, constants)


def sorting() -> onnx.ModelProto:
    """The three largest of each row and their places: one TopK, for which TVM calls a function of its runtime."""
    nodes = [helper.make_node("TopK", ["x", "k"], ["most", "places"], "largest")]
    model = _model(nodes, {"x": (TensorProto.FLOAT, [5, 9])}, {"most": [5, 3], "places": [5, 3]}, {"k": np.array([3])})
    model.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    return model


def hindered() -> onnx.ModelProto:
    """Refused nodes in a row and side by side, one within a branch, one whose result has no known shape."""
    then = helper.make_graph(
        [helper.make_node("Inner", ["f"], ["t"], "inside", domain="my.own"), helper.make_node("Exp", ["t"], ["tt"])],
        "then",
        [],
        [helper.make_tensor_value_info("tt", TensorProto.FLOAT, [2, 8])],
        value_info=[helper.make_tensor_value_info("t", TensorProto.FLOAT, [2, 8])],
    )
    other = helper.make_graph([], "else", [], [helper.make_tensor_value_info("f", TensorProto.FLOAT, [2, 8])])
    nodes = [
        helper.make_node("Relu", ["x"], ["f"], "relu"),
        helper.make_node("Wobble", ["f"], ["w"], "wobble", domain="my.own"),
        helper.make_node("Shape", ["w"], ["s"], "shape"),  # known, though Wobble is refused: its shape is declared
        helper.make_node("Wobble", ["w"], ["w2"], "again", domain="my.own"),
        helper.make_node("If", ["yes"], ["i"], "if", then_branch=then, else_branch=other),
        helper.make_node("Shapeless", ["f"], ["u"], "shapeless", domain="my.own"),
        helper.make_node("Neg", ["u"], ["n"], "behind"),
        helper.make_node("Abs", ["n"], ["b"], "further"),
    ]
    outputs = {"w2": [2, 8], "i": [2, 8], "b": ["n"], "s": [2]}
    model = _model(nodes, {"x": (TensorProto.FLOAT, [2, 8])}, outputs, {"yes": np.array(True)})
    model.graph.output[3].type.tensor_type.elem_type = TensorProto.INT64
    model.graph.value_info.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 8]))
    model.opset_import.append(helper.make_opsetid("my.own", 1))
    return model


def picking(*, heavy: bool) -> onnx.ModelProto:
    """A product, then which of its values are not 0; with ``heavy`` a product over those."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "first"),
        helper.make_node("NonZero", ["h"], ["n"], "where"),
        helper.make_node("Cast", ["n"], ["f"], "cast", to=TensorProto.FLOAT),
    ]
    if heavy:
        nodes += [helper.make_node("Transpose", ["f"], ["t"]), helper.make_node("MatMul", ["f", "t"], ["y"], "second")]
    outputs: dict[str, list[int | str]] = {"y": [2, 2]} if heavy else {"f": [2, "found"]}
    return _model(nodes, {"x": (TensorProto.FLOAT, [4, 8])}, outputs, {"w": np.ones((8, 8), np.float32)})


def _model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, list[int | str]]],
    outputs: dict[str, list[int | str]],
    constants: dict[str, np.ndarray],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
