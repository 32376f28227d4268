"""Pictures sampled, padded and rearranged, held against ONNX Runtime or, where it lacks them, ONNX's reference."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

pytest.importorskip("tvm")

from tests.support.imported import answers, one_node, runtime_answers
from tvm_farm.tracker.tuning.errors import InputError

pytestmark = pytest.mark.system
RANDOM = np.random.default_rng(7)


def values(*shape: int, dtype: str = "float32") -> np.ndarray:
    return (RANDOM.normal(size=shape) * 5).astype(dtype)


def check(op, inputs, constants=None, opset=20, tolerance=1e-4, judge=runtime_answers, **attributes):
    model = one_node(op, inputs, constants, opset=opset, **attributes)
    (expected,) = judge(model, inputs)
    (found,) = answers(model, inputs)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=tolerance, atol=tolerance)


def reference(model, inputs):
    names = [each.name for each in model.graph.input]
    return ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
def test_grids(mode, padding, align):
    # A third of the coordinates lies outside, some of them by more than the picture's size.
    grid = RANDOM.uniform(-1.5, 1.5, (2, 3, 4, 2)).astype(np.float32)
    grid[0, 0, 0] = (-4.2, 3.7)
    attributes = {"mode": mode, "padding_mode": padding, "align_corners": align}
    check("GridSample", [values(2, 3, 5, 6), grid], **attributes)


@pytest.mark.parametrize(
    ("mode", "judge"), [("linear", runtime_answers), ("nearest", runtime_answers), ("cubic", reference)]
)
def test_grids_of_volumes(mode, judge):
    grid = RANDOM.uniform(-1.3, 1.3, (1, 2, 3, 2, 3)).astype(np.float32)
    check("GridSample", [values(1, 2, 4, 5, 6), grid], judge=judge, mode=mode, padding_mode="zeros")


def test_the_names_of_operator_set_16():
    grid = RANDOM.uniform(-1.3, 1.3, (1, 3, 2, 2)).astype(np.float32)
    check("GridSample", [values(1, 2, 4, 5), grid], opset=16, mode="bicubic")


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (1, 3, 4, 2, 3)])
def test_affine_grids(size, align):
    axes = len(size) - 2
    check("AffineGrid", [values(size[0], axes, axes + 1)], {1: np.array(size)}, align_corners=align)


@pytest.mark.parametrize("groups", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_deformed_convolutions(groups):
    group, parts = groups
    x, weight = values(2, 4, 7, 8), values(6, 4 // group, 3, 2)
    offset, mask = values(2, parts * 12, 4, 7) / 5, values(2, parts * 6, 4, 7)
    attributes = {"group": group, "offset_group": parts, "strides": [2, 1], "pads": [1, 0, 1, 1], "dilations": [1, 2]}
    check("DeformConv", [x, weight, offset, values(6), mask], opset=19, tolerance=1e-3, **attributes)
    check("DeformConv", [x, offset], {1: weight}, opset=19, tolerance=1e-3, **attributes)


REGIONS = np.array([[0, 0, 5, 5], [1, 2, 7.5, 8], [-1.5, -2, 3, 2], [4, 5, 4.2, 5.1], [6, 6, 12, 13]], np.float32)
PICTURES = np.array([0, 1, 1, 0, 1])


@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("half", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("mode", ["avg", "max"])
def test_aligned_regions(mode, half, ratio):
    attributes = {"mode": mode, "coordinate_transformation_mode": half, "sampling_ratio": ratio, "spatial_scale": 0.5}
    size = {"output_height": 3, "output_width": 2}
    check("RoiAlign", [values(2, 3, 8, 7), REGIONS, PICTURES], opset=16, **attributes, **size)
    check("RoiAlign", [values(2, 3, 8, 7)], {1: REGIONS, 2: PICTURES}, opset=16, **attributes, **size)


def test_a_region_without_a_sample_is_zero():
    # Its corners are the wrong way round: adaptive sampling takes none of it.
    turned = np.array([[5, 5, 1, 1]], np.float32)
    for mode in ("avg", "max"):
        model = one_node("RoiAlign", [values(1, 2, 8, 8), turned, PICTURES[:1]], opset=16, mode=mode)
        assert not answers(model, [values(1, 2, 8, 8), turned, PICTURES[:1]])[0].any()


def test_regions_of_operator_set_10():
    check("RoiAlign", [values(2, 3, 8, 7), REGIONS, PICTURES], opset=10, output_height=2, output_width=2)


def test_pooled_regions():
    # ONNX Runtime starts its maxima at 0: only values above it tell. Two regions lie outside in part.
    rows = np.concatenate([PICTURES[:, None], REGIONS], axis=1).astype(np.float32)
    check("MaxRoiPool", [np.abs(values(2, 3, 8, 7)), rows], opset=13, pooled_shape=[3, 2])


def test_columns_become_a_picture():
    attributes = {"strides": [2, 1], "dilations": [1, 2], "pads": [1, 0, 1, 2]}
    check("Col2Im", [values(2, 12, 21)], {1: np.array([5, 7]), 2: np.array([2, 2])}, opset=18, **attributes)
    attributes = {"strides": [2, 1, 1], "dilations": [1, 2, 1], "pads": [1, 0, 1, 0, 1, 0]}
    given = {1: np.array([4, 5, 3]), 2: np.array([2, 2, 3])}
    check("Col2Im", [values(1, 24, 16)], given, opset=18, judge=reference, **attributes)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "bool"])
def test_pads(mode, dtype):
    for pads in ([2, 1, 0, 3], [-1, 2, 1, -2], [0, 0, 0, 0]):
        check("Pad", [values(4, 5, dtype=dtype)], {1: np.array(pads)}, opset=19, mode=mode)


@pytest.mark.parametrize(
    ("opset", "constants", "attributes"),
    [
        (2, {}, {"pads": [1, 0, 2, 1], "value": 2.5}),
        (10, {}, {"pads": [1, 0, 2, 1], "mode": "edge"}),
        (13, {1: np.array([1, 0, 2, 1]), 2: np.array(3, np.float32)}, {}),
        (18, {1: np.array([2, 1]), 3: np.array([-1])}, {"mode": "reflect"}),
        (18, {1: np.array([1, 0, 2, 1]), 2: np.array([3], np.float32), 3: np.array([1, 0])}, {}),
    ],
)
def test_versions_of_pads(opset, constants, attributes):
    check("Pad", [values(4, 5)], constants, opset=opset, **attributes)


def test_a_pad_may_be_filled_with_a_computed_value():
    check("Pad", [values(4, 5), np.array(9, np.float32)], {1: np.array([1, 0, 2, 1])}, opset=13)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_space_and_depth(mode):
    check("DepthToSpace", [values(2, 12, 3, 4)], opset=13, blocksize=2, mode=mode)


def test_depth_from_space():
    check("SpaceToDepth", [values(2, 3, 4, 6)], opset=13, blocksize=2)


@pytest.mark.parametrize(
    ("op", "opset", "reason"),
    [("Pad", 13, "there is nothing to tune"), ("ImageDecoder", 20, "it reads picture files")],
)
def test_what_cannot_be_is_refused_by_node(op, opset, reason):
    given = {"Pad": [values(3, 4), np.zeros(4, np.int64)], "ImageDecoder": [np.zeros(8, np.uint8)]}[op]
    with pytest.raises(InputError, match=rf"node number 0 \({op}\): .*{reason}"):
        answers(one_node(op, given, opset=opset), given)
