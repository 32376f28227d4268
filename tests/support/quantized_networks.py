"""Whole models in the QDQ form, with seeded random weights: what quantizers write."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["MODELS", "made", "steps"]

STEP = 0.05


class Quantized:
    """A model in QDQ form as it grows: each operator's inputs dequantized, its output quantized."""

    def __init__(self, dtype: str, shape: list[int], per_channel: bool = True) -> None:
        self.random = np.random.default_rng(7)
        self.dtype, self.shape, self.per_channel = dtype, shape, per_channel
        self.zero = 128 if dtype == "uint8" else 0
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def rounded(self, value: str, step: float = STEP, zero: int | None = None) -> str:
        """``value`` quantized and dequantized again."""
        scale = self.constant(np.array(step, np.float32))
        offset = self.constant(np.array(self.zero if zero is None else zero, self.dtype))
        return self.node("DequantizeLinear", self.node("QuantizeLinear", value, scale, offset), scale, offset)

    def weights(self, shape: tuple[int, ...], axis: int) -> tuple[str, np.ndarray]:
        """Of a size that keeps values around 1."""
        count = shape[axis] if self.per_channel else 1
        inner = np.prod(shape) / shape[axis]
        scale = ((self.random.random(count) + 0.5) / (73 * np.sqrt(inner))).astype(np.float32)
        scale = scale if self.per_channel else scale[0].reshape(())
        integers = self.random.integers(-127, 128, shape).astype(np.int8)
        zero = np.zeros(scale.shape, np.int8)
        names = [self.constant(each) for each in (integers, scale, zero)]
        return self.node("DequantizeLinear", *names, **({"axis": axis} if self.per_channel else {})), scale

    def bias(self, count: int, scale: np.ndarray, step: float) -> str:
        integers = np.rint(self.random.standard_normal(count) * 0.1 / (np.float32(step) * scale)).astype(np.int32)
        names = [self.constant(each) for each in (integers, np.float32(step) * scale)]
        return self.node("DequantizeLinear", *names, **({"axis": 0} if scale.ndim else {}))

    def convolution(self, x: str, given: int, out: int, size: int, groups: int = 1, **attributes: object) -> str:
        weight, scale = self.weights((out, given // groups, size, size), 0)
        return self.node("Conv", x, weight, self.bias(out, scale, STEP), group=groups, **attributes)

    def model(self, result: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
            self.tensors,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def mobile(q: Quantized) -> str:
    """What MobileNets are made of: strides, depthwise, a residual, limits as operators, a mean, a classifier."""
    x = q.rounded(q.convolution(q.rounded("x"), 3, 16, 3, strides=[2, 2], pads=[1, 1, 1, 1]))
    y = q.rounded(q.node("Relu", q.convolution(x, 16, 32, 1)))
    y = q.node("Clip", q.convolution(y, 32, 32, 3, 32, pads=[1, 1, 1, 1]), q.constant(np.array(0, np.float32)),
               q.constant(np.array(6, np.float32)))  # fmt: skip
    y = q.rounded(q.convolution(q.rounded(y), 32, 16, 1))
    x = q.rounded(q.node("Add", x, y), 0.08)
    x = q.rounded(q.node("Flatten", q.node("GlobalAveragePool", x)), 0.04)
    weight, scale = q.weights((10, 16), 0)
    return q.rounded(q.node("Gemm", x, weight, q.bias(10, scale, 0.04), transB=1), 0.02)


def moves(q: Quantized) -> str:
    """Pools, joins, shapes and transpositions between products."""
    x = q.rounded(q.convolution(q.rounded("x"), 3, 16, 3, pads=[1, 1, 1, 1]))
    x = q.rounded(q.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]))
    both = q.rounded(q.node("Concat", q.rounded(q.convolution(x, 16, 16, 1)), x, axis=1))
    x = q.rounded(q.convolution(both, 32, 32, 3, groups=2))
    x = q.node("Reshape", x, q.constant(np.array([1, 32, -1], np.int64)))
    x = q.node("Transpose", x, perm=[0, 2, 1])
    weight, _ = q.weights((32, 24), 1)
    return q.rounded(q.node("MatMul", x, weight), 0.1)


def attention(q: Quantized) -> str:
    """Products of two tensors that the model computes."""
    x = q.rounded(q.node("Reshape", "x", q.constant(np.array([3, 16, 16], np.int64))))
    (a, _), (b, _) = q.weights((16, 8), 1), q.weights((16, 8), 1)
    left, right = (q.rounded(q.node("MatMul", x, weight), 0.05, q.zero + 3) for weight in (a, b))
    scores = q.node("MatMul", left, q.node("Transpose", right, perm=[0, 2, 1]))
    return q.rounded(scores, 0.5)


def uneven(q: Quantized) -> str:
    """Channels that no vector divides, a bias that is no whole number of quanta, weights that are not about 0."""
    x = q.convolution(q.rounded("x", zero=q.zero + 9), 3, 10, 3, pads=[0, 1, 2, 0], strides=[1, 2])
    x = q.rounded(q.node("Add", x, q.constant(q.random.standard_normal((10, 1, 1)).astype(np.float32))))
    integers = q.random.integers(0, 256, (6, 10, 1, 1)).astype(np.uint8)
    names = [q.constant(each) for each in (integers, np.array(0.004, np.float32), np.array(100, np.uint8))]
    return q.rounded(q.node("Conv", x, q.node("DequantizeLinear", *names)))


MODELS: dict[str, Callable[[Quantized], str]] = {each.__name__: each for each in (mobile, moves, attention, uneven)}


def made(name: str, dtype: str, per_channel: bool = True) -> onnx.ModelProto:
    q = Quantized(dtype, [1, 3, 16, 16], per_channel)
    return q.model(MODELS[name](q))


def steps(model: onnx.ModelProto) -> float:
    """The quantum of the model's output."""
    last = model.graph.node[-1]
    scale = next(tensor for tensor in model.graph.initializer if tensor.name == last.input[1])
    return float(numpy_helper.to_array(scale))
