"""Operators on int8 and uint8 that compute with integers, equal to LiteRT's reference kernels bit by bit."""

from __future__ import annotations

import numpy as np
from tvm import relax, te, tirx

from tvm_farm.tracker.tuning.models.importers.tflite.graph import Tensor
from tvm_farm.tracker.tuning.models.importers.tflite.node import Node, converter
from tvm_farm.tracker.tuning.models.importers.tflite.operators.convolution import geometry, transposed_convolution
from tvm_farm.tracker.tuning.models.importers.tflite.operators.elementwise import pairwise
from tvm_farm.tracker.tuning.models.importers.tflite.operators.lookup import answers_of
from tvm_farm.tracker.tuning.models.importers.tflite.operators.scales import (
    Factor,
    clamp_of,
    factor_of,
    rescaled,
    rescaled_by_channel,
    scale_of,
)
from tvm_farm.tracker.tuning.models.importers.values import Refused, as_expression

__all__: list[str] = []

_BYTES = ("int8", "uint8")


@converter(
    "ABS", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "RELU", "RELU6", "RELU_0_TO_1",
    "RELU_N1_TO_1", "RSQRT", "TANH", quantized=True,
)  # fmt: skip
def looked_up(node: Node) -> relax.Expr:
    source = node.source(0)
    if source.dtype not in _BYTES:
        raise Refused(f"its input is quantized to {source.dtype}; the farm computes with int8 and uint8")
    lowest = int(np.iinfo(source.dtype).min)

    def chosen(x: te.Tensor, table: te.Tensor) -> te.Tensor:
        return te.compute(x.shape, lambda *at: table(x(*at).astype("int32") - lowest))

    return node.te(chosen, node.tensor(0), answers_of(node))


@converter("QUANTIZE", quantized=True)
def quantize(node: Node) -> relax.Expr:
    """Of float32, halves away from zero; of 8 bits, to other 8 bits."""
    source, output = node.source(0), node.outputs[0]
    if source.dtype != "float32":
        return looked_up(node)
    scale, clamp = scale_of(output), clamp_of(node)

    def stored(x: te.Tensor) -> te.Tensor:
        def at(*place: tirx.Var) -> tirx.Expr:
            value = x(*place) / tirx.const(float(scale), "float32")
            # Beyond what is stored anyhow; an int32 then holds it.
            value = te.max(te.min(value, tirx.const(1e6, "float32")), tirx.const(-1e6, "float32"))
            whole = tirx.trunc(value)
            rest = value - whole
            half = tirx.const(0.5, "float32")
            up = (rest >= half).astype("int32") - (rest <= -half).astype("int32")
            return clamp.of(whole.astype("int32") + up + output.zero)

        return te.compute(x.shape, at)

    return node.te(stored, node.tensor(0))


@converter("DEQUANTIZE")
def half_precision(node: Node) -> relax.Expr:
    return relax.op.astype(node.tensor(0), node.outputs[0].dtype)


@converter("DEQUANTIZE", quantized=True)
def dequantize(node: Node) -> relax.Expr:
    source = node.source(0)
    scale = tirx.const(float(scale_of(source)), "float32")

    def real(x: te.Tensor) -> te.Tensor:
        return te.compute(x.shape, lambda *at: (x(*at).astype("int32") - source.zero).astype("float32") * scale)

    return node.te(real, node.tensor(0))


@converter("CONV_2D", quantized=True)
def convolution(node: Node) -> relax.Expr:
    weights = _weights(node)
    groups = node.source(0).shape[3] // weights.shape[3]
    sums = weights.sum(axis=(1, 2, 3), dtype=np.int64)
    return _convolved(node, weights.transpose(1, 2, 3, 0), "HWIO", groups, sums)


@converter("DEPTHWISE_CONV_2D", quantized=True)
def depthwise(node: Node) -> relax.Expr:
    weights = _weights(node)
    _, rows, columns, outputs = weights.shape
    sums = weights.sum(axis=(0, 1, 2), dtype=np.int64)
    return _convolved(node, weights.reshape(rows, columns, outputs, 1), "HWOI", node.source(0).shape[3], sums)


def _convolved(node: Node, weights: np.ndarray, layout: str, groups: int, sums: np.ndarray) -> relax.Expr:
    """The zero point, which padding is too, adds to the sums what the bias then lacks."""
    source = node.source(0)
    shape = geometry(node, weights.shape[:2])
    top, left, bottom, right = shape.pop("padding")
    x = _operand(node.tensor(0), source, weights)
    if top or left or bottom or right:
        x = relax.op.nn.pad(x, [0, 0, top, bottom, left, right, 0, 0], pad_value=float(source.zero))
    total = relax.op.nn.conv2d(
        x, as_expression(weights), **shape, kernel_layout=layout, groups=groups, out_dtype="int32"
    )
    return _stored(node, node.emit(total), -source.zero * sums)


@converter("TRANSPOSE_CONV", quantized=True)
def transposed(node: Node) -> relax.Expr:
    """On 16 bits less the zero point, since what lies between the pixels is no pixel."""
    weights = _weights(node, 2).astype(np.int16)
    x = relax.op.subtract(relax.op.astype(node.tensor(2), "int16"), relax.const(node.source(2).zero, "int16"))
    total = transposed_convolution(node, node.emit(x), as_expression(weights), "int32")
    return _stored(node, node.emit(total), np.zeros(weights.shape[0], np.int64), image=2)


@converter("FULLY_CONNECTED", quantized=True)
def fully_connected(node: Node) -> relax.Expr:
    weights = _weights(node)
    inner = weights.shape[1]
    if int(node.option("weightsFormat")):
        raise Refused("its weights are shuffled for one kind of processor")
    rows = int(np.prod(node.source(0).shape, dtype=np.int64)) // inner
    flat = relax.op.reshape(_operand(node.tensor(0), node.source(0), weights), (rows, inner))
    total = relax.op.matmul(flat, as_expression(np.ascontiguousarray(weights.T)), out_dtype="int32")
    result = _stored(node, node.emit(total), -node.source(0).zero * weights.sum(axis=1, dtype=np.int64))
    return relax.op.reshape(result, node.outputs[0].shape)


def _weights(node: Node, image: int = 0) -> np.ndarray:
    """Known weights less their zero point: of 8 bits where that is 0, else of 16. ``image``: the other factor."""
    tensor, other = node.source(1), node.source(image)
    if other.dtype not in _BYTES or tensor.dtype not in _BYTES:
        raise Refused(f"it computes with {other.dtype} and {tensor.dtype}; the farm does with int8 and uint8")
    weights = node.constant(1, "its weights")
    return weights if tensor.zero == 0 and tensor.dtype == "int8" else weights.astype(np.int16) - np.int16(tensor.zero)


def _operand(x: relax.Expr, source: Tensor, weights: np.ndarray) -> relax.Expr:
    """``x`` of the dtype of ``weights``, as products want it."""
    return (
        x
        if source.dtype == weights.dtype.name
        else relax.op.astype(x, "int16" if weights.dtype == np.int16 else "int8")
    )


def _stored(node: Node, total: relax.Expr, correction: np.ndarray, image: int = 0) -> relax.Expr:
    """``total`` of products, with bias and ``correction`` by channel, rescaled to what the output stores.

    The bias follows behind weights and image.
    """
    output, place = node.outputs[0], max(image, 1) + 1
    bias = node.constant(place, "its bias").astype(np.int64) if node.has(place) else np.int64(0)
    offset = (bias + correction).astype(np.int32)
    factors = _factors(node, node.source(image), len(offset))
    clamp = clamp_of(node)
    multipliers = np.array([each.multiplier for each in factors], np.int32)
    shifts = np.array([each.shift for each in factors], np.int32)

    def finished(x: te.Tensor, by: te.Tensor, multiplier: te.Tensor, shift: te.Tensor) -> te.Tensor:
        sums = te.compute(x.shape, lambda *at: x(*at) + by(at[-1]), "sums")
        scaled = rescaled_by_channel(sums, multiplier, shift, factors)
        return te.compute(x.shape, lambda *at: clamp.of(scaled(*at) + output.zero), "stored")

    return node.te(finished, total, offset, multipliers, shifts, name="rescale")


def _factors(node: Node, image: Tensor, channels: int) -> list[Factor]:
    source, weights, output = scale_of(image), node.source(1).scale, scale_of(node.outputs[0])
    if weights is None or len(weights) not in (1, channels):
        raise Refused("its weights are not quantized by one scale or one an output channel")
    if len(weights) == 1 and (node.op == "FULLY_CONNECTED" or image.dtype == "uint8"):
        real = float(np.float32(source * weights[0])) / float(output)
        return [factor_of(real)] * channels
    reals = [float(source) * float(scale) / float(output) for scale in weights]
    return [factor_of(real) for real in reals] * (channels // len(weights))


@converter("ADD", "SUB", quantized=True)
def add(node: Node) -> relax.Expr:
    """Both are brought to twice the larger scale with 20 bits to spare (LiteRT, kernels/add.cc)."""
    _only_bytes(node)
    spare = 20
    first, second, output = node.source(0), node.source(1), node.outputs[0]
    scales = [scale_of(first), scale_of(second)]
    twice = float(np.float32(2) * max(scales))
    factors = [factor_of(float(scale) / twice) for scale in scales]
    last = factor_of(twice / float(np.float32(1 << spare) * scale_of(output)))
    clamp = clamp_of(node)
    sign = -1 if node.op == "SUB" else 1

    def term(x: tirx.Expr, tensor: Tensor, factor: Factor) -> tirx.Expr:
        return rescaled((x.astype("int32") - tensor.zero) << spare, factor)

    def total(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
        both = term(x, first, factors[0]) + sign * term(y, second, factors[1])
        return clamp.of(rescaled(both, last) + output.zero)

    return pairwise(node, total)


@converter("MUL", quantized=True)
def multiply(node: Node) -> relax.Expr:
    _only_bytes(node)
    first, second, output = node.source(0), node.source(1), node.outputs[0]
    factor = factor_of(float(np.float32(scale_of(first) * scale_of(second)) / scale_of(output)))
    clamp = clamp_of(node)

    def product(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
        raw = (x.astype("int32") - first.zero) * (y.astype("int32") - second.zero)
        return clamp.of(rescaled(raw, factor) + output.zero)

    return pairwise(node, product)


@converter("PRELU", quantized=True)
def prelu(node: Node) -> relax.Expr:
    _only_bytes(node)
    source, slope, output = node.source(0), node.source(1), node.outputs[0]
    above = factor_of(float(scale_of(source) / scale_of(output)))
    below = factor_of(float(np.float32(scale_of(source) * scale_of(slope)) / scale_of(output)))
    clamp = clamp_of(node)

    def bent(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
        value = x.astype("int32") - source.zero
        steep = value * (y.astype("int32") - slope.zero)
        return clamp.of(tirx.Select(value >= 0, rescaled(value, above), rescaled(steep, below)) + output.zero)

    return pairwise(node, bent)


@converter("MAXIMUM", "MINIMUM", quantized=True)
def extreme(node: Node) -> relax.Expr:
    if len({(scale_of(each), each.zero) for each in (node.source(0), node.source(1), *node.outputs)}) > 1:
        raise Refused("its inputs and its output are not quantized alike")
    compute = relax.op.maximum if node.op == "MAXIMUM" else relax.op.minimum
    return compute(node.tensor(0), node.tensor(1))


def _only_bytes(node: Node) -> None:
    if any(each.dtype not in _BYTES for each in (node.source(0), node.source(1))):
        raise Refused("its inputs are not of 8 bits; the farm computes with int8 and uint8")
