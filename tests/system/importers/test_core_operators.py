"""Arithmetic, casts, reductions, shapes and orders in the forms that ONNX's node tests leave out."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.support.imported import answers, one_node, runtime_answers
from tvm_farm.tracker.tuning.errors import InputError

pytest.importorskip("tvm")
pytestmark = pytest.mark.system

INF, NAN = np.inf, np.nan


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ints(*values: int, dtype: str = "int64") -> np.ndarray:
    return np.array(values, dtype)


#: Operator, its inputs at run time, its constants by position, operator set, attributes. ONNX Runtime judges.
BY_RUNTIME = [
    ("Div", [ints(7, -7, 7, -7, 0, dtype="int32"), ints(2, 2, -2, -2, 5, dtype="int32")], {}, 14, {}),
    ("Div", [np.array([1, -1, 0, INF, NAN], np.float32)], {1: np.array(-0.0, np.float32)}, 14, {}),
    ("Mod", [np.array([1, -1, 0], np.float32)], {1: np.array(0.0, np.float32)}, 13, {"fmod": 1}),
    ("Mod", [ints(7, -7, 7, -7, 6), ints(3, 3, -3, -3, -3)], {}, 13, {}),
    ("Mod", [ints(7, -7, 7, -7, 6), ints(3, 3, -3, -3, -3)], {}, 13, {"fmod": 1}),
    ("Pow", [ints(-3, -1, 0, 2, 7), ints(3, 5, 2, 40, 0)], {}, 15, {}),
    ("Pow", [floats(3, 4), ints(2, 3, -2, 0)], {}, 15, {}),
    ("Pow", [np.abs(floats(3, 4))], {1: np.array(0.5, np.float32)}, 15, {}),
    ("Pow", [floats(3, 4)], {1: np.array([3.0], np.float32)}, 15, {}),
    ("Pow", [np.array([0.0, -0.0, -INF, 4.0], np.float32)], {1: np.array(0.5, np.float32)}, 15, {}),
    ("Clip", [floats(3, 4)], {}, 6, {"min": -0.5, "max": 0.25}),
    ("Clip", [floats(3, 4)], {}, 6, {"max": 0.25}),
    ("Clip", [floats(3, 4)], {2: np.array(0.1, np.float32)}, 13, {}),
    ("Clip", [floats(3, 4)], {1: np.array(0.5, np.float32), 2: np.array(-0.5, np.float32)}, 13, {}),
    ("Clip", [ints(-300, 5, 300, dtype="int32")], {1: np.array(-9, np.int32), 2: np.array(9, np.int32)}, 13, {}),
    ("Max", [floats(3, 4), floats(4), floats(3, 1)], {}, 13, {}),
    ("Min", [ints(1, 5, -9, dtype="int32"), ints(2, -5, -8, dtype="int32")], {}, 13, {}),
    ("Mean", [floats(3, 4), floats(4), floats(1, 1)], {}, 13, {}),
    ("ThresholdedRelu", [np.array([-1, 0.5, 1, 2, INF], np.float32)], {}, 10, {"alpha": 0.5}),
    ("Softplus", [np.array([-100, -9, 0, 9, 100], np.float32)], {}, 1, {}),
    ("Tanh", [np.array([-1e-7, 1e-3, 0.3, 5, 100, -INF], np.float32)], {}, 13, {}),
    ("Elu", [floats(3, 4)], {}, 6, {"alpha": 0.3}),
    ("Selu", [floats(3, 4)], {}, 6, {"alpha": 0.3, "gamma": 2.0}),
    ("HardSigmoid", [3 * floats(3, 4)], {}, 6, {"alpha": 0.3, "beta": 0.4}),
    ("IsInf", [np.array([INF, -INF, NAN, 1], np.float32)], {}, 10, {"detect_negative": 0}),
    ("Cast", [np.array([-1.9, 1.9, 300.7, -0.2], np.float32)], {}, 13, {"to": TensorProto.INT32}),
    ("Cast", [ints(200, -3, 70000)], {}, 13, {"to": TensorProto.INT8}),
    ("Cast", [np.array([0.0, -0.0, 0.3, NAN], np.float32)], {}, 13, {"to": TensorProto.BOOL}),
    ("ReduceMax", [np.full((2, 3), -INF, np.float32)], {}, 13, {"axes": [1]}),
    ("ReduceMin", [np.full((2, 3), INF, np.float32)], {}, 13, {"axes": [1], "keepdims": 0}),
    ("ReduceMean", [ints(*range(-7, 5), dtype="int32").reshape(3, 4)], {}, 13, {"axes": [-1]}),
    ("ReduceL2", [ints(3, 4, 5, 12, dtype="int32").reshape(2, 2)], {}, 13, {"axes": [1]}),
    ("ReduceLogSumExp", [np.array([[1000, 1001], [-INF, -INF], [-INF, 0]], np.float32)], {}, 13, {"axes": [1]}),
    ("ReduceSum", [floats(2, 3, 4)], {1: ints(0, -1)}, 13, {"keepdims": 0}),
    ("ReduceSumSquare", [floats(2, 3)], {1: ints()}, 18, {"noop_with_empty_axes": 1}),
    ("ReduceProd", [ints(1, 2, 3, 4).reshape(2, 2)], {}, 11, {"axes": [0]}),
    ("CumSum", [floats(3, 4)], {1: np.array(-1)}, 14, {"exclusive": 1, "reverse": 1}),
    ("CumSum", [ints(1, 2, 3, 4, dtype="int32")], {1: np.array(0)}, 14, {}),
    ("ArgMax", [np.full((2, 3), -INF, np.float32)], {}, 13, {"axis": 1}),
    ("ArgMin", [ints(3, 1, 1, 3, dtype="int32")], {}, 13, {"select_last_index": 1, "keepdims": 0}),
    ("TopK", [floats(3, 7)], {1: ints(2)}, 10, {"axis": 1}, 2),
    ("TopK", [ints(5, 1, 5, 9, 1)], {1: ints(4)}, 11, {"largest": 0}, 2),
    ("TopK", [floats(4, 3)], {}, 9, {"k": 2, "axis": 0}, 2),
    ("Softmax", [floats(2, 3, 4)], {}, 11, {"axis": 1}),
    ("LogSoftmax", [floats(2, 3, 4)], {}, 11, {"axis": -2}),
    ("Hardmax", [np.array([[1, 3, 3], [2, 2, 0]], np.float32)], {}, 11, {}),
    ("Slice", [floats(5, 6)], {}, 9, {"starts": [1, -3], "ends": [99, -1], "axes": [0, 1]}),
    ("Slice", [floats(5, 6)], {1: ints(-1, 4), 2: ints(-99, 0), 3: ints(0, 1), 4: ints(-2, -3)}, 13, {}),
    ("Split", [floats(7, 2)], {}, 18, {"num_outputs": 3}, 3),
    ("Split", [floats(6, 2)], {}, 11, {"split": [1, 2, 3]}, 3),
    ("Split", [floats(6, 2)], {}, 11, {"axis": 0}, 3),
    ("Squeeze", [floats(1, 3, 1)], {}, 11, {"axes": [-1]}),
    ("Unsqueeze", [floats(3)], {1: ints(-1, 0)}, 13, {}),
    ("OneHot", [ints(0, -1, 3, 7)], {1: ints(4), 2: np.array([2.0, 5.0], np.float32)}, 11, {"axis": 0}),
    ("Trilu", [floats(2, 3, 4), ints(1)], {}, 14, {"upper": 0}),
    ("EyeLike", [floats(3, 4)], {}, 9, {"k": -1}),
    ("ReverseSequence", [floats(4, 3), ints(2, 4, 0)], {}, 10, {}),
    ("Det", [floats(2, 4, 4)], {}, 11, {}),
    ("Gemm", [floats(3, 4), floats(5, 4), floats(5)], {}, 13, {"transB": 1, "alpha": 0.5, "beta": -2.0}),
    ("Gemm", [floats(4, 3), floats(4, 5)], {}, 13, {"transA": 1}),
    ("LayerNormalization", [1000 + floats(2, 3, 4), floats(3, 4), floats(3, 4)], {}, 17, {"axis": 1}, 3),
    ("BatchNormalization", [floats(2, 3, 4), *(np.abs(floats(3, seed=k)) for k in range(4))], {}, 9, {}),
    ("DFT", [floats(2, 9, 5, 1)], {1: np.array(7), 2: np.array(1)}, 20, {"onesided": 1}),
]


@pytest.mark.parametrize("case", BY_RUNTIME, ids=lambda case: f"{case[0]}-{case[3]}-{','.join(case[4])}")
def test_it_answers_as_onnx_runtime(case):
    op, inputs, constants, opset, attributes, *outputs = case
    model = one_node(op, inputs, constants, opset=opset, outputs=(*outputs, 1)[0], **attributes)
    for found, expected in zip(answers(model, inputs), runtime_answers(model, inputs), strict=True):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_a_sum_of_short_floats_is_taken_in_single_precision():
    rows, columns = np.full((2, 4096), 0.25, np.float16), np.full((4096, 3), 0.25, np.float16)
    model = one_node("Gemm", [rows, columns], opset=13)
    assert answers(model, [rows, columns])[0].tolist() == [[256.0] * 3] * 2  # added up in float16 it stops at 128


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"])
@pytest.mark.parametrize("saturate", [1, 0])
def test_floats_of_eight_bits_are_rounded_as_onnx_has_it(kind, saturate):
    dtype = np.dtype(getattr(ml_dtypes, kind))
    every = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float32)
    between = np.concatenate(
        [every, every * np.float32(1.0625), every * np.float32(0.97), [1e-9, 1e9, -1e9, INF, -INF]]
    )
    to = helper.np_dtype_to_tensor_dtype(dtype)
    model = one_node("Cast", [between.astype(np.float32)], opset=19, to=to, saturate=saturate)
    [found] = answers(model, [between.astype(np.float32)])
    [expected] = ReferenceEvaluator(model).run(None, {"x0": between.astype(np.float32)})
    finite = np.isfinite(between) | bool(saturate)
    np.testing.assert_array_equal(found.astype(np.float32)[finite], expected.astype(np.float32)[finite])
    back = one_node("Cast", [expected], opset=19, to=TensorProto.FLOAT)
    np.testing.assert_array_equal(answers(back, [expected])[0], expected.astype(np.float32))


@pytest.mark.parametrize(
    ("op", "second", "attributes", "expected"),
    [
        ("Add", np.float32([1, 2]), {"broadcast": 1, "axis": 0}, [[2, 3, 4], [6, 7, 8]]),
        ("Mul", np.float32([1, 2, 3]), {"broadcast": 1, "axis": 1}, [[1, 4, 9], [4, 10, 18]]),
        ("Sub", np.float32([1, 2]), {"broadcast": 1, "axis": -2}, [[0, 1, 2], [2, 3, 4]]),
    ],
)
def test_before_opset_7_the_second_input_lies_along_an_axis(op, second, attributes, expected):
    first = np.float32([[1, 2, 3], [4, 5, 6]])
    assert answers(one_node(op, [first, second], opset=6, **attributes), [first, second])[0].tolist() == expected


def test_what_has_no_elements_is_computed_while_importing():
    data = np.zeros((2, 3, 4), np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["x", "zero", "zero"], ["none"]),
            helper.make_node("ReduceSum", ["none", "axis"], ["sum"], keepdims=0),
            helper.make_node("Concat", ["none", "x"], ["whole"], axis=0),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, data.shape)],
        [helper.make_empty_tensor_value_info(name) for name in ("none", "sum", "whole")],
        [onnx.numpy_helper.from_array(ints(0), "zero"), onnx.numpy_helper.from_array(ints(0), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    none, total, whole = answers(model, [data + 1])
    assert none.shape == (0, 3, 4)
    assert total.tolist() == np.zeros((3, 4)).tolist()
    np.testing.assert_array_equal(whole, data + 1)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "sentence"),
    [
        ("RandomNormalLike", [floats(2)], {}, "it draws random numbers: no two runs give the same"),
        ("Cast", [floats(2)], {"to": TensorProto.INT4}, "int4 values, which share bytes"),
        ("Div", [ints(1, 2), ints(0)], {}, None),
        ("Det", [floats(5, 5)], {}, "beyond 4x4 are not imported, and these are 5x5"),
        ("SequenceConstruct", [floats(2)], {}, "sequences and optional values are no tensors"),
    ],
)
def test_what_cannot_be_is_refused_by_its_node_in_one_sentence(op, inputs, attributes, sentence):
    model = one_node(op, inputs, opset=21, **attributes)
    if sentence is None:
        answers(model, inputs)  # undefined by ONNX: no signal ends the process
        return
    with pytest.raises(InputError, match=sentence) as error:
        answers(model, inputs)
    assert f"({op})" in str(error.value)
