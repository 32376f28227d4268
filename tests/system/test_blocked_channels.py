"""Convolutions on blocks of channels: ONNX Runtime's answers, for what works on blocks and for what must leave them."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

tvm = pytest.importorskip("tvm")

from tvm import relax  # noqa: E402

from tests.support.onnx_bytes import load_onnx  # noqa: E402
from tvm_farm.tracker.tuning.models.graph import lower, tasks_of  # noqa: E402

pytestmark = pytest.mark.system
TARGET = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2}
RANDOM = np.random.default_rng(5)


class Network:
    """ONNX nodes one after another; each adder names its output."""

    def __init__(self, channels: int = 3, size: int = 17) -> None:
        self.input = [1, channels, size, size]
        self.nodes: list = []
        self.constants: list = []

    def add(self, operator: str, *inputs: str, **attributes) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, *shape: int, values: float | None = None) -> str:
        name = f"c{len(self.constants)}"
        values = (RANDOM.normal(size=shape) if values is None else np.full(shape, values)).astype(np.float32)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, x: str, given: int, out: int, size: int = 3, groups: int = 1, **attributes) -> str:
        weight, bias = self.constant(out, given // groups, size, size), self.constant(out)
        return self.add("Conv", x, weight, bias, kernel_shape=[size, size], group=groups, **attributes)

    def model(self, result: str) -> bytes:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.input)],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 14)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return shape_inference.infer_shapes(model).SerializeToString()


def convolutions_alone(n: Network) -> str:
    x = n.convolution("x", 3, 24, strides=[2, 2], pads=[1, 0, 1, 2])
    return n.add("Relu", n.convolution(x, 24, 12, dilations=[2, 2]))


def residual_and_concatenation(n: Network) -> str:
    x = n.add("Relu", n.convolution("x", 3, 16, pads=[1, 1, 1, 1]))
    y = n.add("Add", n.convolution(x, 16, 16, pads=[1, 1, 1, 1]), x)
    both = n.add("Concat", n.add("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
                 n.add("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), axis=1)  # fmt: skip
    return n.convolution(both, 32, 8, size=1)


def depthwise_and_groups(n: Network) -> str:
    x = n.add("Clip", n.convolution("x", 3, 16), n.constant(values=-0.5), n.constant(values=0.5))
    x = n.convolution(x, 16, 16, groups=16, pads=[1, 1, 1, 1])
    x = n.convolution(n.add("Sigmoid", x), 16, 32, groups=2)
    return n.convolution(x, 32, 8)


def kernels_of_the_importers_own(n: Network) -> str:
    x = n.add("HardSwish", n.convolution("x", 3, 16))
    x = n.add("Clip", n.convolution(x, 16, 16, groups=16), n.constant(values=-0.5), n.constant(values=0.5))
    return n.add("Tanh", n.add("Div", n.convolution(x, 16, 8), n.add("Elu", n.convolution(x, 16, 8))))


def scales_of_every_shape(n: Network) -> str:
    x = n.convolution("x", 3, 16)
    x = n.add("Mul", n.add("Add", x, n.constant(16, 1, 1)), n.constant(1, 16, 1, 1))
    x = n.add("Div", n.add("Sub", n.constant(1), x), n.constant(15))  # the last one broadcasts along the width
    gate = n.add("Sigmoid", n.convolution(n.add("GlobalAveragePool", x), 16, 16, size=1))
    return n.add("ReduceMean", n.add("Mul", x, gate), axes=[2, 3], keepdims=1)


def odd_channels_and_other_readers(n: Network) -> str:
    x = n.convolution("x", 3, 16)
    odd = n.convolution(x, 16, 7)  # no block divides it
    flat = n.add("Flatten", n.add("Softmax", x, axis=1))
    return n.add("Concat", flat, n.add("Flatten", n.convolution(odd, 7, 8)), axis=1)


#: How often each leaves the blocks: its result, and what does not work on them.
NETWORKS = [
    (convolutions_alone, 1),
    (residual_and_concatenation, 1),
    (depthwise_and_groups, 2),
    (kernels_of_the_importers_own, 1),
    (scales_of_every_shape, 1),
    (odd_channels_and_other_readers, 2),
]


@pytest.mark.parametrize(("build", "leaves"), NETWORKS, ids=lambda value: getattr(value, "__name__", ""))
def test_answers_are_onnx_runtimes(build, leaves):
    network = Network()
    model = network.model(build(network))
    target = tvm.target.Target(TARGET)
    imported = load_onnx(model, {}, "model").module
    x = RANDOM.random(network.input, dtype=np.float32)
    expected = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    blocked, as_written = lower(imported, target), lower(imported, target, as_written=True)
    for lowered in (blocked, as_written):
        machine = relax.VirtualMachine(tvm.compile(lowered.module, target), tvm.cpu())
        got = machine["main"](tvm.runtime.tensor(x), *lowered.params.values()).numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * float(np.abs(expected).max()))
    ranks = [{len(argument.shape) for argument in _shapes(lowered)} for lowered in (blocked, as_written)]
    assert 5 in ranks[0], "some convolution works on blocks"
    assert _transposes(blocked) == leaves
    assert 5 not in ranks[1]


def test_kernels_of_the_importers_own_fuse_with_convolutions():
    network = Network()
    module = load_onnx(network.model(kernels_of_the_importers_own(network)), {}, "model").module
    target = tvm.target.Target(TARGET)
    names = [task.name for task in tasks_of(lower(module, target), target)]
    assert len(names) == 5, names  # the last transposition and four convolutions
    assert sum("conv2d" in name for name in names) == 4, names


def _transposes(lowered) -> int:
    """Calls of a kernel that changes the layout."""
    calls = [b.value for block in lowered.module["main"].body.blocks for b in block.bindings]
    return sum("transpose" in str(argument) for call in calls for argument in getattr(call, "args", [])[:1])


def _shapes(lowered) -> list:
    return [p.ty for f in lowered.module.functions.values() if isinstance(f, relax.Function) for p in f.params] + [
        binding.var.ty
        for block in lowered.module["main"].body.blocks
        for binding in block.bindings
        if isinstance(binding.var.ty, relax.TensorType)
    ]


def test_neither_a_gpu_nor_a_model_without_convolutions_is_touched():
    network = Network()
    relu = load_onnx(network.model(network.add("Relu", "x")), {}, "model").module
    target = tvm.target.Target(TARGET)
    assert [t.workload.key for t in tasks_of(lower(relu, target), target)] == [
        t.workload.key for t in tasks_of(lower(relu, target, as_written=True), target)
    ]
    from tvm_farm.tracker.tuning.models.blocked import block_channels

    network = Network()
    module = load_onnx(network.model(convolutions_alone(network)), {}, "model").module
    assert block_channels(module, tvm.target.Target("opencl")).same_as(module)
