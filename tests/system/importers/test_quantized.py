"""Quantized operators, held against ONNX Runtime: equal where the arithmetic is integer, one quantum off elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.imported import answers, one_node, runtime_answers
from tvm_farm.tracker.tuning.errors import InputError

MICROSOFT = "com.microsoft"
random = np.random.default_rng(5)


def real(*shape: int, dtype: str = "float32", spread: float = 3.0) -> np.ndarray:
    return np.asarray(random.standard_normal(shape) * spread, dtype)


def whole(dtype: str, *shape: int) -> np.ndarray:
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def scale(*values: float) -> np.ndarray:
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def number(dtype: str, *values: int) -> np.ndarray:
    return np.array(values[0] if len(values) == 1 else values, dtype)


def agree(model: onnx.ModelProto, inputs: Sequence[np.ndarray], quanta: int = 0) -> None:
    for found, wanted in zip(answers(model, inputs), runtime_answers(model, inputs), strict=True):
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        if quanta:
            apart = np.abs(found.astype(np.int64) - wanted.astype(np.int64))
            assert apart.max() <= quanta
            assert (apart > 0).mean() < 0.02  # next to a middle, not everywhere
        elif np.issubdtype(found.dtype, np.floating):
            np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-6)
        else:
            np.testing.assert_array_equal(found, wanted)


MIDDLES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 1e9, -1e9, np.inf, -np.inf, 0, 7, 8, 9, 10], np.float32)

QUANTIZE: dict[str, tuple[int, np.ndarray, Mapping[int, np.ndarray], Mapping[str, Any]]] = {
    "middles": (13, MIDDLES, {1: scale(1), 2: number("int8", 0)}, {}),
    "middles-odd-zero": (13, MIDDLES, {1: scale(1), 2: number("uint8", 3)}, {}),
    "opset-10": (10, real(2, 30), {1: scale(0.07), 2: number("int8", -7)}, {}),
    "no-zero": (13, real(2, 30), {1: scale(0.07)}, {}),
    "vector-of-one": (13, real(2, 30), {1: scale(0.07).reshape(1), 2: number("uint8", 9).reshape(1)}, {}),
    "axis": (13, real(2, 3, 5), {1: scale(0.1, 0.02, 3), 2: number("uint8", 1, 128, 250)}, {"axis": -2}),
    "uint16": (21, real(4, 40, spread=1000), {1: scale(0.05), 2: number("uint16", 30000)}, {}),
    "int16-by-attribute": (21, real(4, 40), {1: scale(0.001)}, {"output_dtype": TensorProto.INT16}),
    "float16": (19, real(50, 40, dtype="float16"), {1: np.float16(0.137).reshape(()), 2: number("int8", 3)}, {}),
    "blocks": (
        21, real(4, 7), {1: np.abs(real(4, 3)) + 0.01, 2: whole("int8", 4, 3)}, {"axis": 1, "block_size": 3}
    ),
    "blocks-of-rows": (23, real(6, 5), {1: np.abs(real(2, 5)) + 0.01}, {"axis": 0, "block_size": 3}),
    "number": (13, real(), {1: scale(0.07), 2: number("int8", -7)}, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", QUANTIZE)
def test_quantize_equals_onnx_runtime(case: str) -> None:
    opset, value, constants, attributes = QUANTIZE[case]
    agree(one_node("QuantizeLinear", [value], dict(constants), opset=opset, **attributes), [value])


def test_scales_and_zeros_may_be_computed_by_the_model() -> None:
    for inputs, attributes in (
        ([real(3, 20), scale(0.3), number("int8", 4)], {}),
        ([real(3, 4), scale(0.3, 0.2, 0.1, 7), number("uint8", 4, 0, 255, 30)], {"axis": 1}),
        ([real(3, 4), np.abs(real(3, 2)), whole("int8", 3, 2)], {"axis": 1, "block_size": 2}),
    ):
        agree(one_node("QuantizeLinear", inputs, opset=21, **attributes), inputs)
        integers = [whole(inputs[2].dtype.name, *inputs[0].shape), *inputs[1:]]
        agree(one_node("DequantizeLinear", integers, opset=21, **attributes), integers)


DEQUANTIZE: dict[str, tuple[int, np.ndarray, Mapping[int, np.ndarray], Mapping[str, Any]]] = {
    "int8": (10, whole("int8", 3, 40), {1: scale(0.3), 2: number("int8", -100)}, {}),
    "uint8-axis": (13, whole("uint8", 3, 4), {1: scale(0.3, 0.1, 7), 2: number("uint8", 0, 255, 9)}, {"axis": 0}),
    "int32": (10, whole("int32", 300), {1: scale(0.3)}, {}),
    "int16": (21, whole("int16", 300), {1: scale(0.3), 2: number("int16", 1000)}, {}),
    "uint16": (21, whole("uint16", 300), {1: scale(0.3), 2: number("uint16", 1000)}, {}),
    "float16": (19, whole("int8", 300), {1: np.float16(0.137).reshape(()), 2: number("int8", 3)}, {}),
    "output-dtype": (
        23, whole("int8", 300), {1: np.float16(0.137).reshape(())}, {"output_dtype": TensorProto.FLOAT}
    ),
    "blocks": (21, whole("int8", 4, 7), {1: real(4, 3), 2: whole("int8", 4, 3)}, {"axis": 1, "block_size": 3}),
}  # fmt: skip


@pytest.mark.parametrize("case", DEQUANTIZE)
def test_dequantize_equals_onnx_runtime(case: str) -> None:
    opset, value, constants, attributes = DEQUANTIZE[case]
    agree(one_node("DequantizeLinear", [value], dict(constants), opset=opset, **attributes), [value])


def test_scales_that_fit_nothing_are_refused_by_node_and_reason() -> None:
    model = one_node("QuantizeLinear", [real(2, 4)], {1: scale(1, 2, 3)}, opset=13)
    with pytest.raises(InputError, match=r"number 0 \(QuantizeLinear\): it has 3 scales for 4 places along axis 1"):
        answers(model, [real(2, 4)])
    model = one_node("QuantizeLinear", [real(2, 4)], {1: scale(1), 2: np.array(0, "int4")}, opset=21)
    with pytest.raises(InputError, match="its output is int4, which TVM cannot compute while the model runs"):
        answers(model, [real(2, 4)])


@pytest.mark.parametrize("name", ["int4", "uint4", "int2", "float8_e4m3fn", "float8_e5m2", "float4_e2m1fn"])
def test_weights_of_few_bits_are_dequantized_while_importing(name: str) -> None:
    import ml_dtypes

    dtype = np.dtype(getattr(ml_dtypes, name))
    weight = np.arange(-6, 6).clip(-2 if "2" in name else -6, 1 if name == "int2" else 6).reshape(4, 3)
    weight = np.abs(weight).astype(dtype) if name == "uint4" else weight.astype(dtype)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["real"]),
        helper.make_node("MatMul", ["x", "real"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(scale(0.25), "s")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13)
    x = real(2, 4)
    np.testing.assert_allclose(answers(model, [x])[0], x @ (weight.astype(np.float32) * 0.25), rtol=1e-5, atol=1e-6)


def test_dynamic_quantization_equals_onnx_runtime() -> None:
    for value in (real(3, 40), np.abs(real(3, 40)) + 1, -np.abs(real(3, 40)) - 1, np.zeros((2, 3), np.float32)):
        agree(one_node("DynamicQuantizeLinear", [value], opset=11, outputs=3), [value])


MATMULS: dict[str, tuple[Sequence[np.ndarray], Mapping[int, np.ndarray]]] = {
    "plain": ([whole("uint8", 3, 40)], {1: whole("int8", 40, 5)}),
    "zeros": ([whole("uint8", 3, 40)], {1: whole("uint8", 40, 5), 2: number("uint8", 200), 3: number("uint8", 100)}),
    "int8": ([whole("int8", 3, 40)], {1: whole("int8", 40, 5), 2: number("int8", -8), 3: number("int8", 1)}),
    "columns": (
        [whole("uint8", 3, 40)], {1: whole("int8", 40, 5), 2: number("uint8", 7), 3: number("int8", 1, 2, 3, -4, 0)}
    ),
    "batches": (
        [whole("uint8", 2, 3, 8)], {1: whole("int8", 2, 8, 5), 2: number("uint8", 7), 3: whole("int8", 2, 1, 5)}
    ),
    "batch-by-matrix": ([whole("uint8", 2, 3, 8)], {1: whole("int8", 8, 5), 2: number("uint8", 7)}),
    "both-computed": (
        [whole("uint8", 3, 40), whole("uint8", 40, 5), number("uint8", 9), number("uint8", 5)], {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MATMULS)
def test_integer_matmul_equals_onnx_runtime(case: str) -> None:
    inputs, constants = MATMULS[case]
    agree(one_node("MatMulInteger", inputs, dict(constants), opset=10), inputs)


@pytest.mark.parametrize("shapes", [((4,), (4, 3)), ((2, 4), (4,)), ((4,), (4,)), ((3, 2, 4), (4,))])
@pytest.mark.parametrize("computed", [False, True])
def test_integer_matmul_of_vectors_is_numpys(shapes: tuple[tuple[int, ...], tuple[int, ...]], computed: bool) -> None:
    a, b = whole("uint8", *shapes[0]), whole("uint8", *shapes[1])
    zeros = {2: number("uint8", 3), 3: number("uint8", 50)}
    model = one_node("MatMulInteger", [a, b] if computed else [a], zeros if computed else {1: b, **zeros}, opset=10)
    wanted = np.matmul(a.astype(np.int32) - 3, b.astype(np.int32) - 50)
    np.testing.assert_array_equal(answers(model, [a, b] if computed else [a])[0], wanted)


def test_zeros_of_rows() -> None:
    a, b, rows = whole("uint8", 3, 8), whole("int8", 8, 5), number("uint8", 3, 200, 77)
    wanted = (a.astype(np.int32) - rows[:, None]) @ b.astype(np.int32)
    np.testing.assert_array_equal(answers(one_node("MatMulInteger", [a], {1: b, 2: rows}, opset=10), [a])[0], wanted)


WINDOWS: dict[str, tuple[tuple[int, ...], tuple[int, ...], Mapping[str, Any]]] = {
    "pads": ((1, 3, 9, 8), (4, 3, 3, 3), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "same-lower": ((1, 3, 9, 8), (4, 3, 4, 2), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "groups": ((2, 4, 6, 6), (6, 2, 3, 3), {"group": 2, "pads": [1, 1, 1, 1]}),
    "depthwise-dilated": ((1, 4, 9, 9), (4, 1, 3, 3), {"group": 4, "dilations": [2, 2], "pads": [2, 2, 2, 2]}),
    "one-axis": ((1, 3, 12), (4, 3, 3), {"pads": [1, 1]}),
    "three-axes": ((1, 2, 5, 5, 5), (3, 2, 2, 2, 2), {"pads": [1, 0, 1, 0, 1, 0]}),
}
#: dtypes of data and weights, zero of the data, zeros of the weights.
CONV_ZEROS: dict[str, tuple[str, str, np.ndarray | None, np.ndarray | None]] = {
    "plain": ("uint8", "int8", None, None),
    "data": ("uint8", "int8", number("uint8", 130), None),
    "wide": ("uint8", "uint8", number("uint8", 3), number("uint8", 90)),
    "signed": ("int8", "int8", number("int8", -5), number("int8", 0)),
}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("zeros", CONV_ZEROS)
def test_integer_convolution_equals_onnx_runtime(window: str, zeros: str) -> None:
    shape, kernel, attributes = WINDOWS[window]
    data_dtype, weight_dtype, zero, weight_zero = CONV_ZEROS[zeros]
    data, weight = whole(data_dtype, *shape), whole(weight_dtype, *kernel)
    given = {2: zero, 3: weight_zero}
    constants = {1: weight, **{at: value for at, value in given.items() if value is not None}}
    model = one_node("ConvInteger", [data], constants, opset=10, **attributes)
    if (data_dtype, weight_dtype) == ("int8", "int8"):  # ONNX Runtime has no ConvInteger of int8
        asked = one_node("Conv", [real(1)], {1: real(1)}, opset=11, **attributes)
        reals = [data.astype(np.float32) + 5, weight.astype(np.float32)]
        wanted = _convolution(asked, reals)
        np.testing.assert_array_equal(answers(model, [data])[0], wanted)
    else:
        agree(model, [data])


def _convolution(model: onnx.ModelProto, reals: Sequence[np.ndarray]) -> np.ndarray:
    """ONNX Runtime's Conv, exact: all sums stay below 2**24."""
    whole_model = one_node("Conv", [reals[0]], {1: reals[1]}, opset=11)
    whole_model.graph.node[0].attribute.extend(model.graph.node[0].attribute)
    return runtime_answers(whole_model, [reals[0]])[0].astype(np.int32)


@pytest.mark.parametrize("computed", [[0, 1], [0, 2], [0, 1, 2, 3]])
@pytest.mark.parametrize("most", [100, 255])  # weights that fit int8 and that do not
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 0, 0]])
def test_weights_and_zeros_of_a_convolution_may_be_computed(
    computed: Sequence[int], most: int, pads: Sequence[int]
) -> None:
    data, weight = whole("uint8", 1, 3, 7, 7), whole("uint8", 4, 3, 3, 3).clip(0, most)
    given = [data, weight, number("uint8", 11), number("uint8", most // 2)]
    inputs = [given[at] for at in computed]
    constants = {at: value for at, value in enumerate(given) if at not in computed}
    agree(one_node("ConvInteger", inputs, constants, opset=10, pads=pads), inputs)


@pytest.mark.parametrize(("dtype", "weight_dtype"), [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")])
@pytest.mark.parametrize("channels", [False, True])
def test_quantized_convolution_equals_onnx_runtime(dtype: str, weight_dtype: str, channels: bool) -> None:
    data, weight = whole(dtype, 2, 3, 8, 9), whole(weight_dtype, 4, 3, 3, 3)
    of_weights = (scale(0.02, 0.01, 0.005, 0.03), number(weight_dtype, 0, 0, 0, 0)) if channels else (
        scale(0.013), number(weight_dtype, 100 if weight_dtype == "uint8" else -3)
    )  # fmt: skip
    constants = {
        1: scale(0.11), 2: number(dtype, 7), 3: weight, 4: of_weights[0], 5: of_weights[1], 6: scale(0.9),
        7: number(dtype, 3), 8: random.integers(-3000, 3000, 4).astype(np.int32)
    }  # fmt: skip
    agree(one_node("QLinearConv", [data], constants, opset=10, pads=[1, 1, 1, 1], strides=[1, 2]), [data])


def test_quantized_matmul_equals_onnx_runtime() -> None:
    for dtype, weight_dtype, of_columns in (
        ("uint8", "int8", False),
        ("int8", "int8", True),
        ("uint8", "uint8", False),
    ):
        a, b = whole(dtype, 3, 30), whole(weight_dtype, 30, 4)
        scales = scale(0.01, 0.02, 0.03, 0.005) if of_columns else scale(0.01)
        zeros = number(weight_dtype, 1, -2, 0, 4) if of_columns else number(weight_dtype, 9)
        constants = {1: scale(0.2), 2: number(dtype, 5), 3: b, 4: scales, 5: zeros, 6: scale(0.7), 7: number(dtype, 9)}
        agree(one_node("QLinearMatMul", [a], constants, opset=10), [a])


MICROSOFTS: dict[str, tuple[str, Sequence[np.ndarray], Mapping[int, np.ndarray], Mapping[str, Any], int]] = {
    "add": ("QLinearAdd", [whole("uint8", 3, 40)], {
        1: scale(0.1013), 2: number("uint8", 3), 3: whole("uint8", 3, 40), 4: scale(0.0717), 5: number("uint8", 200),
        6: scale(0.1239), 7: number("uint8", 90)}, {}, 1),
    "add-int8-broadcast": ("QLinearAdd", [whole("int8", 3, 40)], {
        1: scale(0.1013), 2: number("int8", 3), 3: whole("int8", 40), 4: scale(0.0717), 5: number("int8", 0),
        6: scale(0.1239)}, {}, 1),
    "multiply": ("QLinearMul", [whole("uint8", 3, 40)], {
        1: scale(0.1), 2: number("uint8", 3), 3: whole("uint8", 3, 40), 4: scale(0.07), 5: number("uint8", 200),
        6: scale(0.8), 7: number("uint8", 90)}, {}, 1),
    "sigmoid": ("QLinearSigmoid", [whole("int8", 3, 90)], {
        1: scale(0.05), 2: number("int8", 3), 3: scale(1 / 256), 4: number("int8", -128)}, {}, 1),
    "leaky": ("QLinearLeakyRelu", [whole("uint8", 3, 90)], {
        1: scale(0.05), 2: number("uint8", 103), 3: scale(0.04), 4: number("uint8", 50)}, {"alpha": 0.3}, 1),
    "global-average": ("QLinearGlobalAveragePool", [whole("uint8", 2, 30, 5, 7)], {
        1: scale(0.05), 2: number("uint8", 103), 3: scale(0.01), 4: number("uint8", 50)}, {}, 1),
    "global-average-last": ("QLinearGlobalAveragePool", [whole("int8", 2, 5, 7, 30)], {
        1: scale(0.05), 2: number("int8", 10), 3: scale(0.01), 4: number("int8", 5)}, {"channels_last": 1}, 1),
    "average": ("QLinearAveragePool", [whole("uint8", 2, 3, 9, 8)], {
        1: scale(0.05), 2: number("uint8", 103), 3: scale(0.04), 4: number("uint8", 50)},
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}, 1),
    "average-counts-pads": ("QLinearAveragePool", [whole("uint8", 2, 3, 9, 8)], {
        1: scale(0.05), 2: number("uint8", 103), 3: scale(0.04), 4: number("uint8", 50)},
        {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "count_include_pad": 1}, 1),
    "softmax": ("QLinearSoftmax", [whole("uint8", 6, 20)], {
        1: scale(0.02), 2: number("uint8", 103), 3: scale(1 / 256), 4: number("uint8", 0)},
        {"opset": 13, "axis": -1}, 1),
    "softmax-12": ("QLinearSoftmax", [whole("int8", 3, 4, 5)], {
        1: scale(0.02), 2: number("int8", 3), 3: scale(1 / 256), 4: number("int8", -128)},
        {"opset": 12, "axis": 1}, 1),
    "gemm": ("QGemm", [whole("uint8", 3, 30)], {
        1: scale(0.1), 2: number("uint8", 3), 3: whole("int8", 4, 30), 4: scale(0.02), 5: number("int8", 0),
        6: random.integers(-900, 900, 4).astype(np.int32), 7: scale(0.9), 8: number("uint8", 100)},
        {"transB": 1, "alpha": 1.5}, 0),
    "gemm-real": ("QGemm", [whole("uint8", 30, 3)], {
        1: scale(0.1), 2: number("uint8", 3), 3: whole("int8", 30, 4), 4: scale(0.02, 0.1, 0.3, 1),
        5: number("int8", 0, 1, 2, -3)}, {"transA": 1}, 0),
    "to-float": ("MatMulIntegerToFloat", [whole("uint8", 3, 30)], {
        1: whole("int8", 30, 4), 2: scale(0.1), 3: scale(0.02, 0.1, 0.3, 1), 4: number("uint8", 100),
        5: number("int8", 0, 1, 2, -3), 6: real(4)}, {}, 0),
    "dynamic": ("DynamicQuantizeMatMul", [real(3, 30)], {
        1: whole("int8", 30, 4), 2: scale(0.02), 3: number("int8", 5), 4: real(4)}, {}, 0),
    "quantize": ("QuantizeLinear", [real(3, 30)], {1: scale(0.02), 2: number("uint16", 500)}, {}, 0),
    "dequantize": ("DequantizeLinear", [whole("uint16", 3, 30)], {1: scale(0.02), 2: number("uint16", 500)}, {}, 0),
}  # fmt: skip


@pytest.mark.parametrize("case", MICROSOFTS)
def test_microsofts_operators_equal_onnx_runtime(case: str) -> None:
    op, inputs, constants, attributes, quanta = MICROSOFTS[case]
    model = one_node(op, inputs, dict(constants), opset=17, domain=MICROSOFT)
    model.graph.node[0].attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    agree(model, inputs, quanta)


def test_concatenation_rescales_its_parts() -> None:
    a, b = whole("uint8", 2, 30), whole("uint8", 2, 50)
    constants = {0: scale(0.1), 1: number("uint8", 3), 3: scale(0.1), 4: number("uint8", 3), 6: scale(0.07),
                 7: number("uint8", 20)}  # fmt: skip
    agree(one_node("QLinearConcat", [a, b], constants, opset=17, domain=MICROSOFT, axis=1), [a, b], 1)


@pytest.mark.parametrize(("bits", "block", "depth"), [(4, 32, 64), (8, 16, 32), (4, 16, 40)])
@pytest.mark.parametrize("zeros", [False, True])
def test_packed_weights_equal_onnx_runtime(bits: int, block: int, depth: int, zeros: bool) -> None:
    columns, blocks = 6, -(-depth // block)
    constants = {1: whole("uint8", columns, blocks, block * bits // 8), 2: np.abs(real(columns * blocks))}
    if zeros:
        constants[3] = whole("uint8", columns, -(-blocks * bits // 8))
    x = real(3, depth)
    model = one_node("MatMulNBits", [x], constants, opset=17, domain=MICROSOFT, K=depth, N=columns, bits=bits,
                     block_size=block)  # fmt: skip
    (found,), (wanted,) = answers(model, [x]), runtime_answers(model, [x])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
