"""A network like MobileNet V2 as ONNX with seeded random weights, and its int8 form of quantized and rounded values.

``python -m benchmarks.mobile FOLDER SIZE WIDTH`` writes FOLDER/float32.onnx and FOLDER/int8.onnx, the latter by ONNX
Runtime's own quantizer: weights by channel in int8, activations in uint8, calibrated on four random images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["mobile_network"]

#: Expansion, channels in units of the width, blocks, stride of the first (Sandler et al., "MobileNetV2", CVPR 2018).
_STAGES = ((1, 0.5, 1, 1), (6, 1, 2, 2), (6, 2, 2, 2), (6, 4, 2, 2))
_LAST, _CLASSES = 8, 100


def mobile_network(seed: int, size: int, width: int) -> onnx.ModelProto:
    """Input ``x`` is (1, 3, size, size), output ``y`` (1, 100). ``width``: channels of the first convolution."""
    return _Network(seed).build(size, width)


class _Network:
    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def build(self, size: int, width: int) -> onnx.ModelProto:
        x, channels = self._convolution("x", 3, width, size=3, stride=2), width
        for expansion, units, blocks, first in _STAGES:
            for number in range(blocks):
                outputs = int(units * width)
                x = self._block(x, channels, outputs, expansion, first if number == 0 else 1)
                channels = outputs
        x = self._convolution(x, channels, _LAST * width)
        x = self._node("Flatten", self._node("GlobalAveragePool", x))
        weights, bias = (
            self._weights(_CLASSES, _LAST * width),
            self._constant(self.random.standard_normal(_CLASSES) / 10),
        )
        self.nodes.append(helper.make_node("Gemm", [x, weights, bias], ["y"], transB=1, name="classes"))
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, size, size])
        made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, _CLASSES])
        graph = helper.make_graph(self.nodes, "mobile", [given], [made], self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    def _block(self, x: str, inputs: int, outputs: int, expansion: int, stride: int) -> str:
        inner = self._convolution(x, inputs, inputs * expansion) if expansion > 1 else x
        count = inputs * expansion
        inner = self._convolution(inner, count, count, size=3, stride=stride, groups=count)
        projected = self._convolution(inner, count, outputs, bounded=False)
        return self._node("Add", x, projected) if stride == 1 and inputs == outputs else projected

    def _convolution(
        self,
        x: str,
        inputs: int,
        outputs: int,
        *,
        size: int = 1,
        stride: int = 1,
        groups: int = 1,
        bounded: bool = True,
    ) -> str:
        weights = self._weights(outputs, inputs // groups, size, size)
        bias = self._constant(self.random.standard_normal(outputs) / 10)
        border = [size // 2] * 4
        made = self._node(
            "Conv", x, weights, bias, kernel_shape=[size, size], strides=[stride] * 2, pads=border, group=groups
        )
        return (
            self._node("Clip", made, self._constant(np.float32(0)), self._constant(np.float32(6))) if bounded else made
        )

    def _weights(self, *shape: int) -> str:
        return self._constant(self.random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:])))

    def _constant(self, values: np.ndarray | np.float32) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def _node(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=f"{operator}_{name}", **attributes))
        return name


def _quantize(source: Path, target: Path, size: int) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            random = np.random.default_rng(1)
            self._images = iter(random.standard_normal((4, 1, 3, size, size)).astype(np.float32))

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self._images, None)
            return None if image is None else {"x": image}

    quantize_static(
        source, target, Images(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def _main(folder: Path, size: int, width: int) -> None:
    onnx.save(mobile_network(0, size, width), folder / "float32.onnx")
    _quantize(folder / "float32.onnx", folder / "int8.onnx", size)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
