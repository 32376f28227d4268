"""A small image classifier like MobileNet V2 as a TFLite file, in float32 and full-int8, one the twin of the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import ai_edge_litert.schema_py_generated as schema
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.support.tflite_models import SAME, VALID, Quantized, TfliteModel

__all__ = ["mobile_network"]

_RELU6 = schema.ActivationFunctionType.RELU6
_ONE = {"dilationHFactor": 1, "dilationWFactor": 1}


def mobile_network(seed: int, *, quantized: bool, size: int = 32, width: int = 16, blocks: int = 3) -> bytes:
    """Input ``image`` is (1, size, size, 3), the output 10 probabilities; int8 throughout where ``quantized``.

    A strided convolution, ``blocks`` of expansion, depthwise convolution, projection and, where shapes allow,
    addition, then a mean over the image, a dense layer and a softmax. ``size`` is a multiple of 4. Weights are random,
    scales are those of the float twin's values on random images.
    """
    plain = _Network(seed)
    file = plain.build(size, width, blocks)
    if not quantized:
        return file
    return _Network(seed, _ranges(file, seed)).build(size, width, blocks)


def _ranges(file: bytes, seed: int) -> dict[int, tuple[float, float]]:
    """Lowest and highest value of every tensor, by its number, over eight images."""
    run = Interpreter(
        model_content=file,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    run.allocate_tensors()
    (image,) = run.get_input_details()
    random = np.random.default_rng(seed + 1)
    found: dict[int, tuple[float, float]] = {}
    for _ in range(8):
        run.set_tensor(image["index"], random.random(image["shape"], dtype=np.float32))
        run.invoke()
        for detail in run.get_tensor_details():
            if detail["name"]:
                values = run.get_tensor(detail["index"])
                low, high = found.get(detail["index"], (0.0, 0.0))
                found[detail["index"]] = (min(low, float(values.min())), max(high, float(values.max())))
    return found


@dataclass
class _Network:
    seed: int
    #: Of the float twin's tensors, which bear the same numbers; None makes the float twin.
    ranges: Mapping[int, tuple[float, float]] | None = None
    model: TfliteModel = field(default_factory=TfliteModel)
    channels: dict[int, int] = field(default_factory=dict)

    def build(self, size: int, width: int, blocks: int) -> bytes:
        self.random = np.random.default_rng(self.seed)
        x = self.model.input("image", (1, size, size, 3), self._dtype, self._scale(0))
        self.channels[x] = 3
        x = self._convolution(x, width, 3, stride=2)
        for number in range(blocks):
            x = self._block(x, width if number < 2 else 2 * width, 2 if number == 2 else 1)
        axes = self.model.constant(np.array([1, 2], np.int32))
        mean = self._add("MEAN", [x, axes], schema.ReducerOptionsT(keepDims=False), version=2)
        self.channels[mean] = self.channels[x]
        weights, bias = self._weights(mean, (10, self.channels[x]), 0)
        logits = self._add("FULLY_CONNECTED", [mean, weights, bias], schema.FullyConnectedOptionsT(), version=5)
        chances = Quantized(1 / 256, -128) if self.ranges else None
        options = schema.SoftmaxOptionsT(beta=1.0)
        return self.model.build(
            self.model.add("SOFTMAX", [logits], options, self._dtype, chances, version=2 if self.ranges else 1)
        )

    def _block(self, x: int, outputs: int, stride: int) -> int:
        inner = self._convolution(x, 4 * self.channels[x], 1)
        count = self.channels[inner]
        weights, bias = self._weights(inner, (1, 3, 3, count), 3)
        options = schema.DepthwiseConv2DOptionsT(
            padding=SAME, strideH=stride, strideW=stride, depthMultiplier=1, fusedActivationFunction=_RELU6, **_ONE
        )
        inner = self._add("DEPTHWISE_CONV_2D", [inner, weights, bias], options, version=3)
        self.channels[inner] = count
        projected = self._convolution(inner, outputs, 1, activation=0)
        if stride != 1 or outputs != self.channels[x]:
            return projected
        total = self._add("ADD", [x, projected], schema.AddOptionsT(), version=2)
        self.channels[total] = outputs
        return total

    def _convolution(self, x: int, outputs: int, size: int, stride: int = 1, activation: int = _RELU6) -> int:
        weights, bias = self._weights(x, (outputs, size, size, self.channels[x]), 0)
        options = schema.Conv2DOptionsT(
            padding=SAME if size > 1 else VALID,
            strideH=stride,
            strideW=stride,
            fusedActivationFunction=activation,
            **_ONE,
        )
        result = self._add("CONV_2D", [x, weights, bias], options, version=3)
        self.channels[result] = outputs
        return result

    def _add(self, operator: str, inputs: list[int], options: object, version: int) -> int:
        scale = self._scale(len(self.model.graph.tensors))
        return int(self.model.add(operator, inputs, options, self._dtype, scale, version=version if self.ranges else 1))

    def _weights(self, x: int, shape: tuple[int, ...], axis: int) -> tuple[int, int]:
        """Of a product with ``x``, and its bias: by output channel, which is ``axis``."""
        fan_in = int(np.prod(shape)) // shape[axis]
        weights = (self.random.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)
        bias = (self.random.standard_normal(shape[axis]) * 0.1).astype(np.float32)
        given = self._scale(x)
        if given is None:
            return self.model.constant(weights), self.model.constant(bias)
        others = tuple(at for at in range(len(shape)) if at != axis)
        scales = np.abs(weights).max(axis=others) / np.float32(127)
        spread = scales.reshape([-1 if at == axis else 1 for at in range(len(shape))])
        stored = np.rint(weights / spread).astype(np.int8)
        sums = scales * np.asarray(given.scale, np.float32)
        return (
            self.model.constant(stored, Quantized(list(scales), 0, axis)),
            self.model.constant(np.rint(bias / sums).astype(np.int32), Quantized(list(sums))),
        )

    @property
    def _dtype(self) -> str:
        return "int8" if self.ranges else "float32"

    def _scale(self, number: int) -> Quantized | None:
        if self.ranges is None:
            return None
        low, high = self.ranges[number]
        scale = max(high - low, 1e-6) / 255
        return Quantized(scale, int(np.clip(round(-128 - low / scale), -128, 127)))
