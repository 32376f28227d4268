"""What people write for durations, shapes and numbers, and what they are told when it is none."""

from __future__ import annotations

from typing import Any

import pytest

from tvm_farm.tracker.client.asking.values import (
    Shapes,
    fixed_of,
    parameters_of,
    parse_duration,
    parse_shape,
    parse_whole,
    seconds_of,
    shapes_of,
    target_of,
)
from tvm_farm.tracker.domain import Dims, Shape
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.job import shape_sets


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1h5s", 3605),
        ("0.5m", 30),
        (" 2H ", 7200),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "m", "30 m", "-5m", "1.5.2s", "5ms", "30min", "5m5m", "5s1h", "0s", "1h 30m x"]
)
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"'.*' is no"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("x=1,{160,320}", Shape("x", (1, 160), (Dims((1, 320)),))),
        ("x={1,2},{3,4}", Shape("x", (1, 3), (Dims((2, 4)),))),
        ("batch={1,4,8}", Shape("batch", (1,), (Dims((4,)), Dims((8,))))),
        ("past=1,0,8", Shape("past", (1, 0, 8))),
        ("data=1,3,224,224", Shape("data", (1, 3, 224, 224))),
        ("x=7", Shape("x", (7,))),
        ("a=b=2,3", Shape("a=b", (2, 3))),
        ("input.1 = 1, 3", Shape("input.1", (1, 3))),
    ],
)
def test_shapes(text: str, shape: Shape) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,3,224", "is not a shape"),
        ("=1,3", "is not a shape"),
        ("data=", "whole numbers"),
        ("data=1,,3", "whole numbers"),
        ("data=1x3", "whole numbers"),
        ("data=1,-1", "no dimension is negative"),
        ("x=1,{160,320},{1,2,3}", "braces go together"),
        ("x=1,{160,320", "whole numbers"),
        ("x={4,4}", "names one shape twice"),
    ],
)
def test_what_is_no_shape_is_refused_with_how_to_write_one(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_shape(text)


def test_whole_numbers_keep_to_their_range() -> None:
    assert parse_whole("7", 1, 9) == 7
    for text, said in (("0", "not in 1..9"), ("10", "not in 1..9"), ("seven", "whole number"), ("1.5", "whole number")):
        with pytest.raises(ValueError, match=said):
            parse_whole(text, 1, 9)


def test_alternatives_of_several_inputs_go_together():
    both = [parse_shape("x=1,{2,3}"), parse_shape("y={4,5}"), parse_shape("z=6")]
    assert shape_sets(both) == ({"x": (1, 2), "y": (4,), "z": (6,)}, {"x": (1, 3), "y": (5,), "z": (6,)})
    assert shape_sets([]) == ({},)
    assert str(both[0]) == "x=1,{2,3}"
    with pytest.raises(InvalidRequest, match="2 of x and 3 of y"):
        shape_sets([both[0], parse_shape("y={1,2,3}")])
    with pytest.raises(InvalidRequest, match="16 shapes at most, not 17"):
        shape_sets([parse_shape(f"x={{{','.join(map(str, range(17)))}}}")])


@pytest.mark.parametrize(
    ("given", "shapes"),
    [
        ({"x": (1, 3)}, ["x=1,3"]),
        ({"x": [1, 3], "batch": 4}, ["x=1,3", "batch=4"]),
        ({"x": [(1, 160), (1, 320)]}, ["x=1,{160,320}"]),
        ({"past": (1, 0, 8)}, ["past=1,0,8"]),
        ("x=1,3", ["x=1,3"]),
        (["x=1,3", Shape("y", (2,))], ["x=1,3", "y=2"]),
        ((), []),
    ],
)
def test_shapes_of_a_script(given: Shapes, shapes: list[str]) -> None:
    assert [str(shape) for shape in shapes_of(given)] == shapes


@pytest.mark.parametrize(
    "given", [{"x": "1,3"}, {"x": (1, -3)}, {"x": (1.5,)}, {"x": (True,)}, {"x": None}, {"x": [[1], 2]}]
)
def test_what_is_no_shape_in_a_script(given: Any) -> None:
    with pytest.raises(ValueError, match="is no shape of x: give whole numbers"):
        shapes_of(given)


def test_parameters_and_fixed_inputs_of_a_script() -> None:
    assert parameters_of({"M": 1024, "dtype": "float16", "shape": (1, 2)}) == parameters_of(
        ["M=1024", "dtype=float16", "shape=(1, 2)"]
    )
    assert fixed_of({"sr": 16000, "flag": True, "sizes": (1, 2)}) == fixed_of(["sr=16000", "flag=true", "sizes=[1, 2]"])
    assert target_of({"mcpu": "cortex-a76"}) == '{"mcpu": "cortex-a76"}'
    for given in ({"sr": "16000"}, {"sr": object()}, {"sr": None}, ["sr=" + "[" * 100_000]):
        with pytest.raises(ValueError, match="fixes no input"):
            fixed_of(given)
    with pytest.raises(ValueError, match="is not JSON"):
        target_of("[" * 100_000)
    with pytest.raises(ValueError, match="sets no parameter"):
        parameters_of({"two words": 1})


def test_durations_of_a_script() -> None:
    assert (seconds_of(90), seconds_of(0.5), seconds_of("1h30m")) == (90.0, 0.5, 5400.0)
    for given in (0, -1, float("inf"), float("nan"), "90"):
        with pytest.raises(ValueError, match="is no"):
            seconds_of(given)
