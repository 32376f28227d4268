"""Whole models in the QDQ form: computed in integers, and equal to ONNX Runtime up to one quantum of their outputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.imported import one_node, runtime_answers
from tests.support.onnx_bytes import load_onnx

tvm = pytest.importorskip("tvm")

from tvm import relax  # noqa: E402

from tracker.tuning.engines.space import Space  # noqa: E402
from tracker.tuning.models.graph import lower, tasks_of  # noqa: E402

pytestmark = pytest.mark.system
PLAIN = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2}
VNNI = {**PLAIN, "mcpu": "cascadelake"}
ARM = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a76", "num-cores": 4}
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


def lowered(model: onnx.ModelProto, target: dict[str, object], as_written: bool = False) -> object:
    return lower(load_onnx(model.SerializeToString(), {}, "m").module, tvm.target.Target(target), as_written=as_written)


def run(model: onnx.ModelProto, target: dict[str, object], x: np.ndarray, as_written: bool = False) -> np.ndarray:
    made = lowered(model, target, as_written)
    machine = relax.VirtualMachine(relax.build(made.module, tvm.target.Target(target)), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x), *made.params.values()).numpy()


def steps(model: onnx.ModelProto) -> float:
    """The quantum of the model's output."""
    last = model.graph.node[-1]
    scale = next(tensor for tensor in model.graph.initializer if tensor.name == last.input[1])
    return float(numpy_helper.to_array(scale))


@pytest.mark.parametrize("layout", ["as_written", "blocked", "dots"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("name", MODELS)
def test_answers_are_onnx_runtimes_up_to_one_quantum(name: str, dtype: str, layout: str) -> None:
    if layout == "dots" and not _has("avx512bw"):
        pytest.skip("this CPU has no AVX-512")
    model = made(name, dtype)
    x = np.random.default_rng(3).standard_normal((1, 3, 16, 16)).astype(np.float32)
    target = {**PLAIN, "mcpu": "skylake-avx512"} if layout == "dots" else PLAIN
    found, (wanted,) = run(model, target, x, layout == "as_written"), runtime_answers(model, [x])
    assert found.shape == wanted.shape
    assert len(np.unique(wanted)) > 8  # the answer says something
    apart = np.rint(np.abs(found - wanted) / steps(model))
    assert apart.max() <= 1
    assert (apart > 0).mean() <= 0.01


def test_one_scale_for_all_weights() -> None:
    model = made("mobile", "uint8", per_channel=False)
    x = np.random.default_rng(4).standard_normal((1, 3, 16, 16)).astype(np.float32)
    found, (wanted,) = run(model, PLAIN, x), runtime_answers(model, [x])
    assert np.rint(np.abs(found - wanted) / steps(model)).max() <= 1


def _has(flag: str) -> bool:
    return Path("/proc/cpuinfo").exists() and f" {flag}" in Path("/proc/cpuinfo").read_text()


def products(module: object) -> Iterator[str]:
    """Texts of the kernels that multiply and sum."""
    for variable, kernel in module.functions.items():
        if isinstance(kernel, tvm.tirx.PrimFunc) and re.search(r"conv|matmul", variable.name_hint):
            yield kernel.script()


@pytest.mark.parametrize("as_written", [True, False])
@pytest.mark.parametrize("name", ["mobile", "moves", "attention"])
def test_no_product_of_reals_is_left(name: str, as_written: bool) -> None:
    found = list(products(lowered(made(name, "uint8"), VNNI, as_written).module))
    assert len(found) >= 2
    for text in found:
        sums = re.findall(r'T\.(?:alloc_buffer|sblock_alloc_buffer|Buffer)\([^)]*\)?[^"]*"(\w+)"', text)
        assert "int32" in sums, text
        assert not re.search(r"= (\w+)\[[^\]]*\] \+ \w+\[[^\]]*\] \* \w+\[[^\]]*\]$", text, re.M), (
            text
        )  # a sum of reals


@pytest.mark.parametrize(("target", "intrinsic"), [(VNNI, "dot_16x4_vnni"), (ARM, "dot_4x4_i8i8s32_sdot")])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_schedules_use_the_targets_dot_products(target: dict[str, object], intrinsic: str, dtype: str) -> None:
    tasks = tasks_of(lowered(made("mobile", dtype), target), tvm.target.Target(target))
    dense = [task for task in tasks if "conv" in task.name and "iq" in task.workload.module]
    assert len(dense) >= 2
    for task in dense[:2]:
        space = Space(task.module, tvm.target.Target(target), task.name, 1)
        assert any(intrinsic in str(design) for design in space._designs), task.name


@pytest.mark.parametrize(("mcpu", "flag"), [("cascadelake", "avx512_vnni"), ("skylake-avx512", "avx512bw")])
def test_dot_products_of_the_largest_bytes_are_exact(mcpu: str, flag: str) -> None:
    if not _has(flag):
        pytest.skip(f"this CPU has no {flag}")
    target = tvm.target.Target({**PLAIN, "mcpu": mcpu})
    data = np.full((8, 64), 255, np.uint8)
    weight = np.where(np.arange(32) % 2, -128, 127).astype(np.int8) * np.ones((64, 1), np.int8)
    made = lowered(one_node("MatMulInteger", [data], {1: weight}, opset=10), {**PLAIN, "mcpu": mcpu})
    [task] = tasks_of(made, target)
    space, packed = Space(task.module, target, task.name, 1), next(iter(made.params.values()))
    tensorized = 0
    for seed in range(12):
        schedule = space.sample(Random(seed))
        if schedule is None or "call_llvm_pure_intrin" not in schedule.mod.script():
            continue
        tensorized += 1
        result = tvm.runtime.tensor(np.zeros((8, 32), np.int32))
        tvm.compile(schedule.mod, target)["main"](tvm.runtime.tensor(data), packed, result)
        np.testing.assert_array_equal(result.numpy(), data.astype(np.int32) @ weight.astype(np.int32))
    assert tensorized
