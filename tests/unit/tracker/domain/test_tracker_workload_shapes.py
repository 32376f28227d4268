"""Shapes as people write them, and as they stand in a workload's module."""

from __future__ import annotations

import json

import pytest

from tests.support.workload_module import workload_module
from tvm_farm.tracker.domain import ShapeKind, WorkloadShape, parse_dims, shapes_of

TENSOR, UNBLOCKED, LOOPS = ShapeKind.TENSOR, ShapeKind.UNBLOCKED, ShapeKind.LOOPS


@pytest.mark.parametrize(
    "text", ["1x64x56x56", "1,64,56,56", "1, 64, 56, 56", "[1, 64, 56, 56]", "(1,64,56,56)", "1X64X56X56", "1×64×56×56"]
)
def test_ways_to_write_a_shape(text: str) -> None:
    assert parse_dims(text) == "1x64x56x56"


@pytest.mark.parametrize(("text", "dims"), [("1000", "1000"), ("01x2", "1x2")])
def test_single_sizes(text: str, dims: str) -> None:
    assert parse_dims(text) == dims


@pytest.mark.parametrize("text", ["", "x", "1x", "1,,2", "1x-2", "axb", "1.5x2", "data=1,2", "1 64 x"])
def test_what_is_no_shape_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a shape: write 1x64x56x56 or 512,512,512"):
        parse_dims(text)


def test_a_matrix_product_is_known_by_its_tensors_and_its_loops() -> None:
    module = workload_module([(512, 256), (256, 128), (512, 128)], [[(512, False), (128, False), (256, True)]])
    assert shapes_of(module) == (
        WorkloadShape(TENSOR, "512x256", "float32"),
        WorkloadShape(TENSOR, "256x128", "float32"),
        WorkloadShape(TENSOR, "512x128", "float32"),
        WorkloadShape(LOOPS, "512x128x256"),
    )


def test_blocks_that_do_not_sum_are_no_loops_and_equal_ones_are_told_once() -> None:
    summing = [(8, False), (4, True)]
    shapes = shapes_of(workload_module([(8, 4)], [[(8, False), (4, False)], summing, summing]))
    assert [shape.dims for shape in shapes if shape.kind is LOOPS] == ["8x4"]


@pytest.mark.parametrize(
    ("tensor", "unblocked"),
    [
        ((1, 4, 56, 56, 16), ["1x64x56x56"]),
        ((2, 125, 13, 13, 8), ["2x1000x13x13"]),
        ((1, 64, 56, 56), []),
        ((1, 4, 56, 56, 5), []),  # no width of a vector
        ((4, 3, 3, 3, 16, 16), []),
        ((1, 4, None, 56, 16), []),
    ],
)
def test_channels_in_blocks_are_also_known_as_they_were_before(tensor: tuple[int, ...], unblocked: list[str]) -> None:
    shapes = shapes_of(workload_module([tensor]))
    assert [shape.dims for shape in shapes if shape.kind is UNBLOCKED] == unblocked


def test_a_size_that_is_not_known_is_a_question_mark() -> None:
    assert shapes_of(workload_module([(None, 3)], dtype="int8")) == (WorkloadShape(TENSOR, "?x3", "int8"),)


@pytest.mark.parametrize(
    "module",
    [
        "",
        "{}",
        "no JSON",
        "[]",
        json.dumps({"nodes": []}),
        json.dumps({"nodes": [{"type": "ir.IRModule", "data": {}}]}),
    ],
)
def test_another_module_has_no_shapes(module: str) -> None:
    assert shapes_of(module) == ()
