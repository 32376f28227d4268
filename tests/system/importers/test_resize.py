"""Resize and Upsample of every version, held against ONNX Runtime; against ONNX's reference where that lacks them."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

pytest.importorskip("tvm")

from tests.support.imported import answers, one_node, runtime_answers

pytestmark = pytest.mark.system


def picture(*shape: int, dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(3).normal(size=shape) * 40
    return (np.abs(values) if dtype == "uint8" else values).astype(dtype)


def scales(*values: float) -> dict[int, np.ndarray]:
    return {2: np.array(values, np.float32)}


def sizes(*values: int) -> dict[int, np.ndarray]:
    return {3: np.array(values, np.int64)}


def region(values: list[float]) -> dict[int, np.ndarray]:
    return {1: np.array(values, np.float32)}


TRANSFORMS = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
NEAREST = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize(
    "given", [scales(1, 1, 2, 2), sizes(1, 2, 4, 13), sizes(1, 2, 12, 1)], ids=["doubled", "odd", "one column"]
)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_transforms(transform, given, mode):
    check(picture(1, 2, 6, 5), given, mode=mode, coordinate_transformation_mode=transform)


@pytest.mark.parametrize("rounding", NEAREST)
@pytest.mark.parametrize("transform", ["half_pixel", "asymmetric", "align_corners"])
def test_nearest_takes_the_pixel_that_onnx_runtime_takes(rounding, transform):
    # Each of these sizes has coordinates on the very edge between two pixels.
    for given, wanted in ((6, 14), (10, 4), (9, 6), (5, 10), (7, 21)):
        x = picture(1, 1, given, given)
        attributes = {"nearest_mode": rounding, "coordinate_transformation_mode": transform}
        check(x, sizes(1, 1, wanted, wanted), mode="nearest", **attributes)


@pytest.mark.parametrize(
    ("x", "given", "attributes"),
    [
        (picture(1, 2, 9, 8), sizes(1, 2, 4, 5), {"mode": "linear", "antialias": 1}),
        (picture(1, 2, 9, 8), sizes(1, 2, 4, 5), {"mode": "cubic", "antialias": 1}),
        (picture(1, 2, 20, 8), sizes(1, 2, 3, 9), {"mode": "cubic", "antialias": 1, "exclude_outside": 1}),
        (picture(1, 2, 6, 5), scales(1, 1, 2, 3), {"mode": "cubic", "exclude_outside": 1, "cubic_coeff_a": -0.5}),
        (picture(1, 6, 5, 2), scales(1, 2, 2, 1), {"mode": "linear"}),
        (picture(2, 3, 4, 4), scales(2, 2, 1, 1), {"mode": "nearest"}),
        (picture(1, 1, 3, 4, 5), scales(1, 1, 2, 1.5, 0.6), {"mode": "linear"}),
        (picture(7, 9), scales(0.6, 1.4), {"mode": "linear"}),
        (picture(11), scales(2.5), {"mode": "nearest"}),
        (picture(1, 2, 6, 5), sizes(8, 9), {"mode": "linear", "axes": [3, 2]}),
        (
            picture(1, 2, 6, 5),
            sizes(8, 9),
            {"mode": "nearest", "axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"},
        ),
        (
            picture(1, 2, 6, 5),
            sizes(8, 9),
            {"mode": "linear", "axes": [2, 3], "keep_aspect_ratio_policy": "not_smaller"},
        ),
        (picture(1, 2, 6, 5, dtype="uint8"), scales(1, 1, 2, 2), {"mode": "linear"}),
        (picture(1, 2, 6, 5, dtype="int8"), scales(1, 1, 2, 2), {"mode": "nearest"}),
        (picture(1, 2, 6, 5), {**scales(1, 1, 1, 1), 1: np.zeros(0, np.float32)}, {"mode": "cubic"}),
    ],
)
def test_attributes(x, given, attributes):
    check(x, given, **attributes)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_what_lies_outside_of_the_crop_gets_its_value(mode):
    attributes = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0}
    given = {**region([0, 0, 0.2, -0.3, 1, 1, 1.3, 0.6]), **sizes(1, 2, 7, 9)}
    expected = check(picture(1, 2, 6, 5), given, mode=mode, **attributes)
    assert (expected == 7).any()
    assert (expected != 7).any()


def test_dtypes_that_onnx_runtime_lacks():
    for dtype, mode in (("float16", "cubic"), ("float64", "linear"), ("int16", "nearest"), ("int64", "nearest")):
        x = picture(1, 2, 6, 5, dtype=dtype)
        model = one_node("Resize", [x], scales(1, 1, 2, 0.6), opset=19, mode=mode)
        (expected,) = ReferenceEvaluator(model).run(None, {"x0": x})
        compare(answers(model, [x])[0], expected, 2e-2 if dtype == "float16" else 1e-4)


@pytest.mark.parametrize(
    ("op", "opset", "given", "attributes"),
    [
        ("Upsample", 7, {}, {"scales": [1.0, 1.0, 2.0, 2.6], "mode": "nearest"}),
        ("Upsample", 8, {}, {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "linear"}),
        ("Upsample", 9, {1: np.array([1, 1, 3, 2], np.float32)}, {"mode": "linear"}),
        ("Upsample", 9, {1: np.array([1, 1, 1.7, 2], np.float32)}, {"mode": "nearest"}),
        ("Resize", 10, {1: np.array([1, 1, 0.6, 2.3], np.float32)}, {"mode": "nearest"}),
        ("Resize", 10, {1: np.array([1, 1, 0.6, 2.3], np.float32)}, {"mode": "linear"}),
        ("Resize", 11, {**region([]), **scales(1, 1, 2, 2)}, {"mode": "linear"}),
        ("Resize", 11, {**region([]), 2: np.zeros(0, np.float32), **sizes(1, 2, 9, 8)}, {"mode": "cubic"}),
        (
            "Resize",
            11,
            {**region([]), **scales(1, 1, 2, 2)},
            {"coordinate_transformation_mode": "tf_half_pixel_for_nn"},
        ),
        ("Resize", 13, scales(1, 1, 2, 2), {"mode": "linear"}),
    ],
)
def test_versions(op, opset, given, attributes):
    check(picture(1, 2, 6, 5), given, op, opset, **attributes)


def check(x: np.ndarray, given: dict[int, np.ndarray], op: str = "Resize", opset: int = 19, **attributes) -> np.ndarray:
    model = one_node(op, [x], given, opset=opset, **attributes)
    (expected,) = runtime_answers(model, [x])
    compare(answers(model, [x])[0], expected)
    return expected


def compare(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=tolerance, atol=tolerance)
