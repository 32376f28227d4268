"""What counts as equal, on what answers are compared, and how a package picks among its shapes: tables."""

import re

import numpy as np
import pytest

pytest.importorskip("tvm_ffi")

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.judging.comparison import Tolerance, compare
from tvm_farm.tracker.tuning.judging.inputs import given_inputs, random_inputs
from tvm_farm.tracker.tuning.models.importers.base import TensorInfo
from tvm_farm.tracker.tuning.models.importers.shapes import fixed_shape
from tvm_farm.tracker.tuning.packages.shipped.run import as_dtype, cropped, fitting, padded


@pytest.mark.parametrize(
    ("tolerance", "dtype", "relative", "absolute"),
    [
        (Tolerance(), "float32", 1e-4, 1e-5),
        (Tolerance(depth=25), "float32", 5e-4, 5e-5),
        (Tolerance(depth=100_000), "float32", 1e-3, 1e-4),
        (Tolerance(depth=4), "int64", 0.0, 0.0),
        (Tolerance(depth=4, quantum=0.02), "float32", 2e-4, 0.02),
        (Tolerance(depth=4, quantum=0.02), "bool", 0.0, 0.0),
        (Tolerance(depth=4, quantum=0.02), "uint8", 0.0, 0.02),
        (Tolerance(depth=4, quantum=0.02), "int32", 0.0, 0.0),
        (Tolerance(depth=4), "int8", 0.0, 0.0),
    ],
)
def test_tolerance(tolerance, dtype, relative, absolute):
    assert tolerance.of(dtype) == pytest.approx((relative, absolute))


@pytest.mark.parametrize(
    ("expected", "given", "wrong"),
    [
        (np.float32([[1, 2]]), np.float32([[1, 9]]), "y[0,1] is 9 where 2 is expected"),
        (np.float32(3), np.float32(4), "y is 4 where 3 is expected"),
        (np.float32([1]), np.float64([1]), "y is float64[1] where float32[1] is expected"),
        (np.float32([np.inf]), np.float32([1]), "y[0] is 1 where inf is expected"),
        (np.int64([2**60 + 1]), np.int64([2**60]), "y[0] is"),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), ""),
    ],
)
def test_what_is_wrong_is_told_with_its_place(expected, given, wrong):
    assert compare([expected], [given], names=["y"]).wrong.startswith(wrong)
    assert bool(compare([expected], [given]).wrong) is bool(wrong)


def test_random_inputs_suit_their_dtype_and_stay_within_what_they_index():
    infos = [
        TensorInfo("ids", (1000,), "int64"),
        TensorInfo("mask", (1000,), "int32"),
        TensorInfo("image", (1000,), "uint8"),
        TensorInfo("flag", (1000,), "bool"),
        TensorInfo("x", (1000,), "bfloat16"),
        TensorInfo("scalar", (), "float32"),
        TensorInfo("divisor", (1000,), "int8"),
    ]
    bounds = {"ids": range(7), "divisor": range(1, 10)}
    arrays = random_inputs(infos, 3, bounds)
    assert [(a.shape, a.dtype.name) for a in arrays] == [(i.shape, i.dtype) for i in infos]
    assert [(int(a.min()), int(a.max())) for a in arrays[:4]] == [(0, 6), (0, 1), (0, 255), (0, 1)]
    assert (int(arrays[6].min()), int(arrays[6].max())) == (1, 9)
    again = random_inputs(infos, 3, bounds)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, again, strict=True))


def test_given_inputs_are_taken_by_name_and_widened_where_nothing_is_lost(tmp_path):
    path = tmp_path / "in.npz"
    np.savez(path, x=np.int32([1, 2]), y=np.float64([0.5]))
    x, y = given_inputs(path, [TensorInfo("x", (2,), "int64"), TensorInfo("y", (1,), "float32")], "in.npz")
    assert (x.dtype.name, y.dtype.name, x.tolist()) == ("int64", "float32", [1, 2])
    for info, sentence in [
        (TensorInfo("x", (2,), "bool"), "cannot hold"),
        (TensorInfo("y", (1,), "int64"), "y is float64; the model takes int64"),
        (TensorInfo("x", (3,), "int32"), "has shape"),
    ]:
        with pytest.raises(InputError, match=sentence):
            given_inputs(path, [info], "in.npz")


NO_NUMBERS = {
    "text": (np.array(["a", "b"]), "x is <U1; the model takes {}"),
    "complex": (np.array([1j, 2]), "x is complex128; the model takes {}"),
    "bytes of another size": (np.zeros(2, "V8"), "x is |V8; the model takes {}"),
    "times": (np.zeros(2, "M8[s]"), "x is datetime64[s]; the model takes {}"),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_holds_no_such_numbers_is_refused_by_judge_and_package(kind, dtype, tmp_path):
    array, sentence = NO_NUMBERS[kind]
    path = tmp_path / "in.npz"
    np.savez(path, x=array)
    with pytest.raises(InputError, match=re.escape(sentence.format(dtype))):
        given_inputs(path, [TensorInfo("x", (2,), dtype)], "in.npz")
    with pytest.raises(ValueError, match=re.escape(sentence.format(dtype))):
        as_dtype(array, np.dtype(dtype), "x")


def test_a_package_takes_integers_that_fit_and_bytes_of_dtypes_that_numpy_lacks():
    assert as_dtype(np.array([0, 1]), np.dtype(bool), "x").tolist() == [False, True]
    halves = np.array([1.5, -2.0], "bfloat16")
    assert as_dtype(halves.view("V2"), halves.dtype, "x").tolist() == [1.5, -2.0]
    for array in (np.array([1.5, 2.0]), np.array([1, 2**63], np.uint64)):
        with pytest.raises(ValueError, match=r"^x "):
            as_dtype(array, np.dtype("int64"), "x")


def test_a_float_too_large_for_the_model_is_told(tmp_path):
    path = tmp_path / "in.npz"
    np.savez(path, x=np.array([1e300, np.inf]))
    with pytest.raises(InputError, match="x holds float64 values that float32 cannot hold"):
        given_inputs(path, [TensorInfo("x", (2,), "float32")], "in.npz")


def test_an_array_that_nobody_wants_is_not_read(tmp_path):
    path = tmp_path / "in.npz"
    np.savez(path, x=np.zeros(2), other=np.array([{}], object))
    assert given_inputs(path, [TensorInfo("x", (2,), "float64")], "in.npz")[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("declared", "shapes", "result"),
    [
        ([1, 3], {}, (1, 3)),
        (["n", 3], {"x": (2, 3)}, (2, 3)),
        (["n", 3], {"n": (2,)}, (2, 3)),
        ([-1, 3], {"x": (2, 3)}, (2, 3)),
        ([0, 3], {"x": (2, 3)}, (2, 3)),
        (["", 3], {"x": (0, 3)}, (0, 3)),
        (None, {"x": (4,)}, (4,)),
        ([], {}, ()),
        (["n", 3], {}, "input x has open dimensions (n,3); fix it with --shape x=…"),
        ([-1, 0], {}, "input x has open dimensions (?,?); fix it with --shape x=…,…."),
        (["n", 3, "w"], {"n": (2,)}, "open dimensions (2,3,w); fix it with --shape x=2,3,… or --shape w=…."),
        (["n", 3, "n"], {}, "open dimensions (n,3,n); fix it with --shape x=…,3,… or --shape n=…."),
        (None, {}, "input x has no shape in the file"),
        ([2, 3], {"x": (3, 3)}, "input x is (2,3) in the file; --shape x=3,3 differs"),
        (["n", "n"], {"x": (3,)}, "--shape x=3 differs"),
    ],
)
def test_fixed_shape(declared, shapes, result):
    if isinstance(result, tuple):
        assert fixed_shape("m", "x", declared, shapes) == result
        return
    with pytest.raises(InputError) as caught:
        fixed_shape("m", "x", declared, shapes)
    assert result in str(caught.value)


def variant(batch: int) -> dict:
    return {"inputs": [{"name": "x", "shape": [batch, 4]}], "outputs": [{"name": "y", "shape": [batch // 2, 3]}]}


PADDING = {"inputs": {"x": [0]}, "outputs": {"y": [{"axis": 0, "input": "x", "input_axis": 0, "round": "up"}]}}


@pytest.mark.parametrize(
    ("shape", "padding", "chosen"),
    [
        ((4, 4), None, 4),
        ((8, 4), PADDING, 8),
        ((5, 4), PADDING, 8),
        ((1, 4), PADDING, 4),
        ((5, 4), None, 0),
        ((9, 4), PADDING, 0),
        ((4, 3), PADDING, 0),
        ((4,), PADDING, 0),
    ],
)
def test_the_smallest_variant_that_fits(shape, padding, chosen):
    variants = [variant(4), variant(8)]
    if chosen:
        assert fitting(variants, [shape], padding)["inputs"][0]["shape"] == [chosen, 4]
        return
    with pytest.raises(ValueError, match="the model takes"):
        fitting(variants, [shape], padding)


def test_padding_and_cropping():
    x = np.ones((5, 4))
    assert padded(x, [8, 4]).sum(axis=1).tolist() == [4] * 5 + [0] * 3
    answer = np.arange(12).reshape(4, 3)
    [up] = cropped([answer], [(5, 4)], variant(8), PADDING)
    down = {**PADDING, "outputs": {"y": [{**PADDING["outputs"]["y"][0], "round": "down"}]}}
    assert (up.shape, cropped([answer], [(5, 4)], variant(8), down)[0].shape) == ((3, 3), (2, 3))
