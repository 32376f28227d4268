"""What ONNX Runtime's quantizer writes for operators between the products: in its reals, rounded at the end.

ONNX Runtime, docs/ContribOperators.md. Where its kernels multiply scales beforehand a result next to the middle of two
integers can be the other one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tvm import relax

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, Value, converter, dtype_of
from tvm_farm.tracker.tuning.models.passes.quantized import cast, constant, dequantized, quantized, requantized

_MICROSOFT = "com.microsoft"


@converter("QLinearAdd", domain=_MICROSOFT)
def add(node: Node) -> Value:
    total = node.emit(relax.op.add(_real(node, 0), _real(node, 3)))
    return _quantized(node, total, 6, node.dtype(0))


@converter("QLinearMul", domain=_MICROSOFT)
def multiply(node: Node) -> Value:
    a, b = (dequantized(node.builder, node.tensor(at), np.asarray(np.float32(1)), _zero(node, at + 2)) for at in (0, 3))
    product = node.emit(relax.op.multiply(a, b))
    scales = [cast(node.builder, node.value(at), "float32") for at in (1, 4, 6)]
    if all(isinstance(scale, np.ndarray) for scale in scales):
        factor: Value = np.asarray(scales[0] * scales[1] / scales[2])
    else:
        both = node.emit(relax.op.multiply(constant(scales[0]), constant(scales[1])))
        factor = node.emit(relax.op.divide(both, constant(scales[2])))
    return requantized(node.builder, product, factor, _zero(node, 7), node.dtype(0))


@converter("QLinearSigmoid", domain=_MICROSOFT)
def sigmoid(node: Node) -> Value:
    return _quantized(node, node.emit(relax.op.sigmoid(_real(node, 0))), 3, node.dtype(0))


@converter("QLinearLeakyRelu", domain=_MICROSOFT)
def leaky_relu(node: Node) -> Value:
    alpha = float(np.float32(node.attribute("alpha", 0.01)))
    return _quantized(node, node.emit(relax.op.nn.leakyrelu(_real(node, 0), alpha)), 3, node.dtype(0))


@converter("QLinearSoftmax", domain=_MICROSOFT)
def softmax(node: Node) -> Value:
    real, rank = _real(node, 0), len(node.shape(0))
    version = int(node.attribute("opset", 13))
    axis = int(node.attribute("axis", -1)) % rank
    if version >= 13:
        return _quantized(node, node.emit(relax.op.nn.softmax(real, axis)), 3, node.dtype(0))
    rows = int(np.prod(node.shape(0)[:axis], dtype=np.int64))
    flat = node.emit(relax.op.nn.softmax(node.emit(relax.op.reshape(real, (rows, -1))), 1))
    return _quantized(node, node.emit(relax.op.reshape(flat, node.shape(0))), 3, node.dtype(0))


@converter("QLinearConcat", domain=_MICROSOFT)
def concat(node: Node) -> Value:
    dtype = node.dtype(1)
    parts = [_rescaled(node, at, dtype) for at in range(2, len(node.inputs), 3)]
    return node.emit(relax.op.concat(parts, int(node.attribute("axis", 0))))


def _rescaled(node: Node, at: int, dtype: str) -> relax.Expr:
    if _same(node.value(at + 1), node.value(0)) and _same(_zero(node, at + 2), _zero(node, 1)):
        return node.tensor(at)
    return quantized(node.builder, _real(node, at), node.value(0), _zero(node, 1), dtype)


def _same(left: Value | None, right: Value | None) -> bool:
    if left is None or right is None:
        return left is right
    return isinstance(left, np.ndarray) and isinstance(right, np.ndarray) and bool(np.all(left == right))


@converter("QLinearGlobalAveragePool", domain=_MICROSOFT)
def global_average(node: Node) -> Value:
    shape = node.shape(0)
    first = 1 if node.attribute("channels_last", 0) else 2
    axes = list(range(first, first + len(shape) - 2))
    total = node.emit(relax.op.sum(node.emit(relax.op.astype(node.tensor(0), "int32")), axes, keepdims=True))
    size = int(np.prod([shape[axis] for axis in axes]))
    zero = _zero(node, 2)
    if zero is not None:
        wide = constant(cast(node.builder, zero, "int32"))
        total = node.emit(relax.op.subtract(total, node.emit(relax.op.multiply(wide, relax.const(size, "int32")))))
    real = dequantized(node.builder, total, _over(node, node.value(1), size), None)
    return _quantized(node, real, 3, node.dtype(0))


def _over(node: Node, scale: Value, size: int) -> Value:
    if isinstance(scale, np.ndarray):
        return np.asarray(scale / np.float32(size), np.float32)
    return node.emit(relax.op.divide(scale, relax.const(float(size), "float32")))


@converter("QLinearAveragePool", domain=_MICROSOFT)
def average(node: Node) -> Value:
    shape, kernel = node.shape(0), tuple(node.attribute("kernel_shape"))
    pools: dict[int, Callable[..., relax.Expr]] = {
        1: relax.op.nn.avg_pool1d, 2: relax.op.nn.avg_pool2d, 3: relax.op.nn.avg_pool3d
    }  # fmt: skip
    count = len(kernel)
    if count not in pools or count != len(shape) - 2:
        raise Refused(f"its kernel_shape {kernel} does not fit {len(shape) - 2} spatial axes; TVM pools 1 to 3")
    if node.attribute("auto_pad", "NOTSET") != "NOTSET" or node.attribute("ceil_mode", 0):
        raise Refused("its auto_pad or ceil_mode is set, and runtimes differ in which pixels such a border counts")
    real, last = _real(node, 0), bool(node.attribute("channels_last", 0))
    if last:
        real = node.emit(relax.op.permute_dims(real, [0, count + 1, *range(1, count + 1)]))
    real = node.emit(
        pools[count](
            real,
            pool_size=list(kernel),
            strides=list(node.attribute("strides") or (1,) * count),
            padding=list(node.attribute("pads") or (0,) * 2 * count),
            count_include_pad=bool(node.attribute("count_include_pad", 0)),
        )
    )
    if last:
        real = node.emit(relax.op.permute_dims(real, [0, *range(2, count + 2), 1]))
    return _quantized(node, real, 3, node.dtype(0))


def _zero(node: Node, at: int) -> Value | None:
    return node.value(at) if node.has(at) else None


def _real(node: Node, at: int) -> relax.Expr:
    """The reals of the input at ``at``, whose scale and zero follow it."""
    if dtype_of(node.value(at)) not in ("int8", "uint8"):
        raise Refused(f"its input {at} is {node.dtype(at)}, not int8 or uint8")
    return dequantized(node.builder, node.tensor(at), node.value(at + 1), _zero(node, at + 2))


def _quantized(node: Node, real: relax.Expr, scale: int, dtype: str) -> relax.Expr:
    return quantized(node.builder, real, node.value(scale), _zero(node, scale + 1), dtype)
