"""Pools and convolutions of one to three axes, held against ONNX Runtime."""

import numpy as np
import pytest

pytest.importorskip("tvm")

from tests.support.imported import answers, one_node, runtime_answers
from tvm_farm.tracker.tuning.errors import InputError

pytestmark = pytest.mark.system


def values(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.round(np.random.default_rng(5).normal(size=shape) * 20, 1).astype(dtype)


def check(op, inputs, constants=None, opset=13, outputs=1, tolerance=1e-4, **attributes):
    model = one_node(op, inputs, constants, opset=opset, outputs=outputs, **attributes)
    expected = runtime_answers(model, inputs)
    found = answers(model, inputs)
    assert len(found) == len(expected) == outputs
    for one, other in zip(found, expected, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(one.astype(float), other.astype(float), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
@pytest.mark.parametrize(
    ("space", "attributes"),
    [
        ((9,), {"kernel_shape": [3], "strides": [2], "pads": [1, 2]}),
        ((9, 8), {"kernel_shape": [3, 2], "strides": [2, 3], "auto_pad": "SAME_UPPER"}),
        ((9, 8), {"kernel_shape": [3, 2], "strides": [2, 1], "auto_pad": "SAME_LOWER"}),
        ((9, 8), {"kernel_shape": [3, 2], "strides": [2, 3], "auto_pad": "VALID"}),
        ((9, 8), {"kernel_shape": [2, 3], "strides": [3, 2], "ceil_mode": 1, "pads": [1, 0, 0, 1]}),
        # The last window of the first axis would start behind the padding.
        ((8, 4), {"kernel_shape": [2, 3], "strides": [3, 3], "ceil_mode": 1, "pads": [0, 0, 1, 0]}),
        ((9, 8), {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [1, 1, 1, 1]}),
        ((5, 6, 7), {"kernel_shape": [2, 3, 2], "strides": [2, 1, 2], "ceil_mode": 1}),
    ],
)
def test_pools(op, space, attributes):
    more = {"AveragePool": {"count_include_pad": 1}, "LpPool": {"p": 3}}.get(op, {})
    check(op, [values(2, 3, *space)], opset=19, **attributes, **more)


def test_averages_divide_by_what_lies_inside():
    for attributes in ({"dilations": [2, 2]}, {"ceil_mode": 1}):
        pads = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        check("AveragePool", [values(1, 2, 8, 9)], opset=19, **pads, **attributes)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float64"])
def test_largest_of_other_dtypes(dtype):
    check("MaxPool", [np.abs(values(1, 2, 8, 9)).astype(dtype)], kernel_shape=[3, 3], pads=[1, 1, 1, 1])


@pytest.mark.parametrize(
    ("space", "attributes"),
    [
        ((9,), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
        ((9, 8), {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 0]}),
        ((9, 8), {"kernel_shape": [3, 2], "storage_order": 1, "dilations": [2, 1]}),
        ((4, 5, 6), {"kernel_shape": [2, 2, 3], "storage_order": 1}),
    ],
)
def test_where_the_largest_lies(space, attributes):
    # Few distinct values: of equals the first counts.
    check("MaxPool", [np.round(values(2, 3, *space) / 20)], outputs=2, **attributes)


def test_what_was_pooled_is_put_back():
    x = values(1, 2, 3, 4)
    where = np.random.default_rng(1).permutation(96)[:24].reshape(x.shape).astype(np.int64)
    check("MaxUnpool", [x, where], opset=11, kernel_shape=[2, 2], strides=[2, 2])


@pytest.mark.parametrize(
    ("space", "kernel", "attributes"),
    [
        ((9,), (4,), {"strides": [2], "pads": [1, 2]}),
        ((9, 8), (3, 2), {"strides": [2, 1], "auto_pad": "SAME_LOWER"}),
        ((9, 8), (3, 2), {"strides": [2, 3], "auto_pad": "SAME_UPPER", "group": 2}),
        ((9, 8), (3, 2), {"dilations": [2, 3], "pads": [2, 0, 1, 1]}),
        ((5, 6, 7), (2, 3, 2), {"strides": [2, 1, 2], "group": 4}),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["weights known", "weights computed"])
def test_convolutions(space, kernel, attributes, known):
    weight, bias = values(8, 4 // attributes.get("group", 1), *kernel), values(8)
    given = ([], {1: weight, 2: bias}) if known else ([weight, bias], {})
    check("Conv", [values(2, 4, *space), *given[0]], given[1], tolerance=1e-3, **attributes)


@pytest.mark.parametrize(
    ("space", "kernel", "attributes"),
    [
        ((5,), (4,), {"strides": [2], "pads": [1, 1]}),
        ((5, 6), (2, 2), {"strides": [2, 2]}),
        ((5, 6), (3, 4), {"strides": [2, 3], "output_padding": [1, 2], "pads": [1, 0, 0, 1]}),
        ((5, 6), (3, 3), {"strides": [2, 2], "output_shape": [9, 12]}),
        ((5, 6), (3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ((5, 6), (3, 4), {"strides": [3, 2], "auto_pad": "SAME_LOWER"}),
        # More stride than kernel: zeros between.
        ((5, 6), (2, 1), {"strides": [3, 3], "group": 2}),
        ((5, 6), (3, 2), {"strides": [2, 1], "dilations": [2, 3], "group": 4}),
        ((5, 6), (3, 3), {"dilations": [2, 1], "pads": [5, 2, 0, 2]}),
        ((3, 4, 2), (2, 3, 3), {"strides": [2, 1, 3], "pads": [0, 1, 1, 1, 0, 0]}),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["weights known", "weights computed"])
def test_transposed_convolutions(space, kernel, attributes, known):
    groups = attributes.get("group", 1)
    weight, bias = values(4, 8 // groups, *kernel), values(8)
    given = ([], {1: weight, 2: bias}) if known else ([weight, bias], {})
    check("ConvTranspose", [values(2, 4, *space), *given[0]], given[1], tolerance=1e-3, **attributes)


def test_half_precision_is_summed_in_single():
    # In half precision these 4,096 products of 0.1 would stop growing.
    x = np.full((1, 64, 8, 8), 0.5, np.float16)
    model = one_node("Conv", [x], {1: np.full((1, 64, 8, 8), 0.2, np.float16)}, opset=13)
    expected = 4096 * float(np.float16(0.5)) * float(np.float16(0.2))
    assert answers(model, [x])[0].reshape(()) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("op", "constants", "attributes", "reason"),
    [
        ("Conv", {1: np.zeros((4, 3, 3, 3), np.float32)}, {}, r"weights \[4, 3, 3, 3\] in 1 groups do not fit"),
        ("MaxPool", {}, {"kernel_shape": [3]}, r"kernel \[3\] does not fit"),
        ("MaxPool", {}, {"kernel_shape": [3, 3], "pads": [-1, 0, 0, 0]}, "pads"),
    ],
)
def test_what_cannot_be_is_refused_by_node(op, constants, attributes, reason):
    x = values(1, 2, 6, 6)
    with pytest.raises(InputError, match=rf"node number 0 \({op}\): .*{reason}"):
        answers(one_node(op, [x], constants, opset=13, **attributes), [x])
