"""Decisions of one task refitted to another: tables, without TVM."""

import json
import math

import pytest

from tvm_farm.tracker.tuning.engines.sketch import Relatives, Sketch, before_postprocessing, refit


@pytest.mark.parametrize(
    ("factors", "extent", "innermost_most", "expected"),
    [
        ((2, 4, 1, 8), 64, 0, (2, 4, 1, 8)),  # the same extent: nothing to do
        ((2, 4, 1, 8), 128, 0, (4, 4, 1, 8)),  # the outermost loop takes up the difference
        ((1, 13, 1, 1), 27, 0, (3, 9, 1, 1)),  # nothing near 13 divides 27 but 9
        ((8, 16), 1000, 0, (50, 20)),
        ((1, 128), 512, 64, (8, 64)),  # an innermost loop of at most 64
        ((4, 4), 7, 0, (1, 7)),  # a prime
        ((1, 1, 1), 1, 0, (1, 1, 1)),
        ((5, 1), 1, 0, (1, 1)),
    ],
)
def test_refit(factors, extent, innermost_most, expected):
    got = refit(factors, extent, innermost_most)
    assert math.prod(got) == extent
    assert got == expected


def trace(*tiles: tuple[int, ...], choice: int = 0, block: str = "conv2d") -> str:
    instructions = [["GetBlock", [], [block, "main"], ["b0"]]]
    instructions += [["SamplePerfectTile", ["l"], [len(tile), 64], ["v"]] for tile in tiles]
    instructions += [["SampleCategorical", [], [[0, 16, 64], [0.3, 0.3, 0.4]], ["u"]]]
    decisions = [[1 + number, list(tile)] for number, tile in enumerate(tiles)]
    return json.dumps([instructions, [*decisions, [1 + len(tiles), choice]]])


def test_a_sketch_adopts_what_has_its_form():
    mine = Sketch.of(trace((1, 1, 1, 26), (32, 1)))
    other = Sketch.of(trace((1, 1, 1, 13), (8, 8), choice=2))
    assert mine.extents == {1: 26, 2: 32}
    assert mine.adopt(other) == {1: (2, 1, 1, 13), 2: (4, 8), 3: 2}
    assert mine.adopt(Sketch.of(trace((1, 1, 1, 13), (8, 8), block="dense"))) is None
    assert mine.adopt(Sketch.of(trace((1, 1, 1, 13)))) is None


def test_a_sketch_is_written_with_other_decisions():
    sketch = Sketch.of(trace((2, 2), choice=1))
    assert sketch.decided({1: (4, 1), 2: 0}) == [json.loads(trace((2, 2)))[0], [[1, [4, 1]], [2, 0]]]


def test_relatives_come_nearest_first_and_never_from_the_task_itself():
    relatives = Relatives(kept=2)
    for seconds in (3.0, 1.0, 2.0, 9.0):
        relatives.add("near", trace((1, 32), choice=int(seconds) % 3), seconds)
    relatives.add("far", trace((1, 512)), 1.0)
    relatives.add("self", trace((1, 16)), 0.1)
    relatives.add("another form", trace((1, 16), block="dense"), 0.1)
    found = relatives.of("self", Sketch.of(trace((1, 16))))
    assert [(relative.task, relative.quality) for relative in found] == [("near", 1.0), ("near", 0.5), ("far", 1.0)]


def test_relatives_of_several_classes_keep_their_best_apart():
    relatives = Relatives(kept=1)
    relatives.add("near", trace((1, 32)), 5.0)
    relatives.add("near", trace((4, 8)), 1e-6, "a faster machine")
    relatives.add("self", trace((1, 16)), 1e-6, "a faster machine")
    found = relatives.of("self", Sketch.of(trace((1, 16))))
    assert {relative.sketch.decisions[1] for relative in found} == {(1, 32), (4, 8)}
    assert {relative.quality for relative in found} == {1.0}


def test_a_trace_of_the_log_is_cut_where_postprocessing_begins():
    instructions, decisions = json.loads(trace((2, 2), choice=1))
    after = [["EnterPostproc", [], [], []], ["Unroll", ["l"], [], []], ["SampleCategorical", [], [], ["x"]]]
    logged = json.dumps([instructions + after, [*decisions, [len(instructions) + 2, 0]]])
    assert json.loads(before_postprocessing(logged)) == [instructions, decisions]
    assert json.loads(before_postprocessing(trace((2, 2)))) == json.loads(trace((2, 2)))
