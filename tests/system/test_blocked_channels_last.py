"""Networks whose channels lie last, as in TFLite files, on blocks of channels: LiteRT's answers, and no detours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

tvm = pytest.importorskip("tvm")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

from tests.support.run_import import run_import  # noqa: E402
from tests.support.tflite_models import SAME, VALID, TfliteModel  # noqa: E402
from tests.support.tflite_networks import mobile_network  # noqa: E402
from tvm_farm.tracker.tuning.engines.space import Space  # noqa: E402
from tvm_farm.tracker.tuning.models.graph import lower, tasks_of  # noqa: E402
from tvm_farm.tracker.tuning.models.importers import ImportedModel, load_model  # noqa: E402

pytestmark = pytest.mark.system
TARGETS = {
    "a CPU with VNNI": {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "cascadelake", "num-cores": 2},
    "another": {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2},
}
RANDOM = np.random.default_rng(11)


class Network(TfliteModel):
    """float32 operators over images; each adder answers its tensor's number."""

    def weights(self, *shape: int) -> int:
        return self.constant((RANDOM.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))

    def convolution(self, x: int, given: int, out: int, size: int = 3, stride: int = 1) -> int:
        options = schema.Conv2DOptionsT(
            padding=SAME, strideH=stride, strideW=stride, dilationHFactor=1, dilationWFactor=1
        )
        return int(self.add("CONV_2D", [x, self.weights(out, size, size, given), self.weights(out)], options))

    def depthwise(self, x: int, channels: int) -> int:
        options = schema.DepthwiseConv2DOptionsT(
            padding=SAME, strideH=2, strideW=2, depthMultiplier=1, dilationHFactor=1, dilationWFactor=1
        )
        return int(self.add("DEPTHWISE_CONV_2D", [x, self.weights(1, 3, 3, channels), self.weights(channels)], options))

    def pool(self, operator: str, x: int) -> int:
        options = schema.Pool2DOptionsT(padding=VALID, strideH=2, strideW=2, filterHeight=2, filterWidth=2)
        return int(self.add(operator, [x], options))

    def join(self, *values: int) -> int:
        return int(self.add("CONCATENATION", list(values), schema.ConcatenationOptionsT(axis=3)))


def joined_pools(n: Network, x: int) -> int:
    x = n.convolution(x, 3, 16, stride=2)
    both = n.join(n.pool("MAX_POOL_2D", x), n.pool("AVERAGE_POOL_2D", n.convolution(x, 16, 32)))
    return n.convolution(n.depthwise(both, 48), 48, 24, size=1)


def gates_and_scales(n: Network, x: int) -> int:
    """Constants by channel, by pixel and for all; a gate by channel; a slope by channel."""
    x = n.convolution(x, 3, 16)
    x = int(n.add("MUL", [x, n.weights(1, 1, 16)], schema.MulOptionsT()))
    x = int(n.add("ADD", [x, n.weights(1, 17, 17, 1)], schema.AddOptionsT()))
    x = int(n.add("SUB", [x, n.constant(np.float32([0.25]))], schema.SubOptionsT()))
    x = int(n.add("PRELU", [x, n.weights(1, 1, 16)]))
    mean = int(n.add("MEAN", [x, n.constant(np.int32([1, 2]))], schema.ReducerOptionsT(keepDims=True)))
    gate = int(n.add("LOGISTIC", [n.convolution(mean, 16, 16, size=1)]))
    x = int(n.add("MUL", [x, gate], schema.MulOptionsT()))
    return int(n.add("PAD", [x, n.constant(np.int32([[0, 0], [1, 2], [0, 1], [0, 0]]))]))


def leaves_and_returns(n: Network, x: int) -> int:
    """No block divides 7 channels, and a softmax over channels needs them in one row."""
    x = n.convolution(x, 3, 16)
    rows = int(n.add("SOFTMAX", [x], schema.SoftmaxOptionsT(beta=1.0)))
    return n.join(n.convolution(n.convolution(x, 16, 7), 7, 8), n.convolution(rows, 16, 8))


#: How often each leaves the blocks.
NETWORKS = [(joined_pools, 1), (gates_and_scales, 1), (leaves_and_returns, 2)]


def imported(file: bytes, folder: Path) -> ImportedModel:
    path = folder / "m.tflite"
    path.write_bytes(file)
    return load_model(path, {}, "m")


def names_of(model: ImportedModel, target: str) -> list[str]:
    chosen = tvm.target.Target(TARGETS[target])
    return [task.name for task in tasks_of(lower(model.module, chosen), chosen)]


@pytest.mark.parametrize(("build", "leaves"), NETWORKS, ids=lambda value: getattr(value, "__name__", ""))
def test_answers_are_those_of_litert(build, leaves, tmp_path):
    network = Network()
    model = imported(network.build(build(network, network.input("x", (1, 17, 17, 3)))), tmp_path)
    inputs = (RANDOM.random((1, 17, 17, 3), dtype=np.float32),)
    (expected,) = model.judge.answers(inputs, [output.name for output in model.outputs])
    (given,) = run_import(model, inputs, as_written=False)
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)
    assert sum("transpose" in name for name in names_of(model, "another")) == leaves


@pytest.mark.parametrize("quantized", [False, True], ids=["float32", "int8"])
def test_a_mobile_network_leaves_the_blocks_once(quantized, tmp_path):
    """Residuals, depthwise convolutions and their borders, rescaling by channel: each fuses with its convolution."""
    model = imported(mobile_network(3, quantized=quantized), tmp_path)
    (info,) = model.inputs
    image = RANDOM.random(info.shape)
    image = (image * 255 - 128).astype(np.int8) if quantized else image.astype(np.float32)
    (expected,) = model.judge.answers((image,), [output.name for output in model.outputs])
    (given,) = run_import(model, (image,), as_written=False)
    if quantized:
        assert np.abs(given.astype(int) - expected.astype(int)).max() <= 1
    else:
        np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-6)
    for target in TARGETS:
        names = names_of(model, target)
        assert sum("transpose" in name for name in names) == 1, names
        assert not any(name.startswith(("rescale", "add", "fused_rescale")) for name in names), names


def test_bytes_of_any_sign_use_the_dot_products_of_the_cpu(tmp_path):
    """LiteRT's activations are int8, what x86 multiplies is uint8."""
    model = imported(mobile_network(3, quantized=True), tmp_path)
    target = tvm.target.Target(TARGETS["a CPU with VNNI"])
    dense = [task for task in tasks_of(lower(model.module, target), target) if "iq" in task.workload.module]
    assert len(dense) >= 4
    for task in dense[:2]:
        space = Space(task.module, target, task.name, 1)
        assert any("dot_16x4_vnni" in str(design) for design in space._designs), task.name
