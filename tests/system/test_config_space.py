"""Knobs, the points that they span, and the strategies that walk them: without a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest

pytest.importorskip("tvm")  # which what makes a program of a point needs, and this does without

from tvm_farm.tracker.tuning.engines.autotvm.boosted import BoostedSearch
from tvm_farm.tracker.tuning.engines.autotvm.config_space import ConfigSpace, Knob, Limit, Point, factorizations
from tvm_farm.tracker.tuning.engines.autotvm.errors import TemplateError
from tvm_farm.tracker.tuning.engines.autotvm.genetic import GeneticSearch
from tvm_farm.tracker.tuning.engines.autotvm.programs import Program
from tvm_farm.tracker.tuning.engines.autotvm.rank_model import RankModel, Sample
from tvm_farm.tracker.tuning.engines.autotvm.tuners import GridSearch, RandomSearch, Tuner

pytestmark = pytest.mark.system


def space(extent: int = 64) -> ConfigSpace:
    return ConfigSpace(
        "made_up",
        [
            Knob("tile_m", "split", factorizations(extent, 3)),
            Knob("tile_n", "split", factorizations(extent, 3)),
            Knob("unroll", "unroll", (1, 4, 16)),
            Knob("order", "reorder", (("m", "n"), ("n", "m"))),
            Knob("pack", "choice", ("no", "yes")),
        ],
        [Limit.of("32 registers", lambda tile_m, tile_n: tile_m[-1] * tile_n[-1] <= 32)],
    )


def seconds_of(point: Point, of: ConfigSpace) -> float:
    """A made-up machine: a valley in the tiles, packing helps, everything else hardly."""
    values = of.values(point)
    tile_m, tile_n = values["tile_m"], values["tile_n"]
    assert isinstance(tile_m, tuple)
    assert isinstance(tile_n, tuple)
    away = abs(math.log2(tile_m[2] / 4)) + abs(math.log2(tile_n[2] / 8)) + abs(math.log2(tile_m[1] / 8)) / 2
    return 1e-3 * 1.5**away * (1.0 if values["pack"] == "yes" else 1.7) * (1.02 if values["unroll"] == 1 else 1.0)


@pytest.mark.parametrize(("extent", "parts", "count"), [(1, 3, 1), (7, 2, 2), (12, 2, 6), (64, 3, 28), (512, 4, 220)])
def test_a_split_has_every_factorization_once(extent: int, parts: int, count: int) -> None:
    found = factorizations(extent, parts)
    assert len(set(found)) == len(found) == count
    assert all(math.prod(factors) == extent for factors in found)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        # The inner factors stay; how many tiles there are follows from the shape.
        ("made_up;tile_m=2x8x4;tile_n=16x1x8;unroll=4;order=n,m;pack=yes", "tile_m=2x8x4;tile_n=8x1x8;unroll=4"),
        # 3 and 6 divide nothing here.
        ("made_up;tile_m=9x3x4;tile_n=1x6x8;unroll=5;order=n,m;pack=yes", "tile_m=4x4x4;tile_n=1x8x8;unroll=4"),
        # The nearest that its limit allows.
        ("made_up;tile_m=1x1x8;tile_n=1x1x8;unroll=4;order=n,m;pack=yes", None),
        # A knob that the other one did not have, and an option that this one does not have.
        ("made_up;tile_m=2x8x4;tile_n=16x1x8;unroll=4;order=k,n;pack=yes;gone=1", "tile_m=2x8x4;tile_n=8x1x8;unroll=4"),
    ],
)
def test_what_another_shapes_space_wrote_is_refitted(written: str, found: str | None) -> None:
    here = space()
    point = here.nearest(written)
    assert point is not None
    assert here.valid(point)
    text = here.write(point)
    if found is None:
        inner = [values[-1] for name, values in here.values(point).items() if name.startswith("tile")]
        assert inner in ([4, 8], [8, 4])
    else:
        assert text.startswith(f"made_up;{found};")
    assert text.endswith("pack=yes")
    assert here.nearest(written.replace("made_up", "other")) is None


def test_limits_leave_out_points_and_are_counted() -> None:
    whole = space()
    assert whole.size == 28 * 28 * 3 * 2 * 2
    points = [whole.point(number) for number in range(whole.size)]
    assert len(set(points)) == whole.size
    assert whole.valid_size == sum(map(whole.valid, points))
    assert 0 < whole.valid_size < whole.size
    rng = Random(1)
    drawn = [whole.sample(rng) for _ in range(200)]
    assert all(point is not None and whole.valid(point) for point in drawn)
    assert drawn[0] is not None
    moved = whole.neighbour(drawn[0], rng)
    assert moved is not None
    assert whole.valid(moved)
    assert 1 <= sum(a != b for a, b in zip(moved, drawn[0], strict=True)) <= 2


def test_a_point_is_read_as_it_was_written() -> None:
    whole = space()
    point = whole.sample(Random(2))
    assert point is not None
    text = whole.write(point)
    assert text.startswith("made_up;tile_m=")
    assert '"' not in text
    assert whole.read(text) == point
    assert whole.read(text.replace("made_up", "other")) is None
    assert whole.read(text.replace("pack=", "peck=")) is None
    assert space(48).read(text) is None


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (
            Limit.of("as wide as a warp", lambda tile_x: tile_x[0] == 32),
            "template t: 'as wide as a warp' asks for the knob tile_x; there are tile_m",
        ),
        (
            Limit.of("more than there is", lambda tile_m: tile_m[0] > 64),
            "template t: no point of its space satisfies 'more than there is'",
        ),
    ],
    ids=["an unknown knob", "nothing left"],
)
def test_limits_that_cannot_hold_are_refused(limit: Limit, said: str) -> None:
    with pytest.raises(TemplateError) as refused:
        ConfigSpace("t", [Knob("tile_m", "split", factorizations(64, 2))], [limit])
    assert str(refused.value) == said


def test_knobs_are_described_for_people() -> None:
    described = space().describe()
    assert (described["template"], described["size"], described["limits"]) == ("made_up", 9408, ["32 registers"])
    tile, _, unroll, order, _ = described["knobs"]
    assert (tile["size"], len(tile["options"]), tile["options"][0]) == (28, 6, "1x1x64")
    assert (unroll["options"], order["options"]) == (["1", "4", "16"], ["m,n", "n,m"])


class Bench:
    """A tuner and its machine; programs of a point are told apart by the point alone."""

    def __init__(self, name: str, of: ConfigSpace, seed: int) -> None:
        self.space = of
        self.model = RankModel(1, seed)
        made: dict[str, Callable[[], Tuner]] = {
            "random": lambda: RandomSearch(of, Random(seed)),
            "gridsearch": lambda: GridSearch(of),
            "ga": lambda: GeneticSearch(of, Random(seed)),
            "xgb": lambda: BoostedSearch(of, Random(seed), self.model, self.program),
        }
        self.tuner = made[name]()
        self.measured: dict[Point, float] = {}

    def program(self, point: Point) -> Program:
        return Program(str(point), None, self.space.features([])[:0])

    def run(self, trials: int, batch: int = 8) -> list[Point]:
        met: list[Point] = []
        while len(met) < trials:
            points = self.tuner.next(min(batch, trials - len(met)))
            if not points:
                break
            met += points
            seconds = [seconds_of(point, self.space) for point in points]
            rows = self.space.features(points)
            samples = [Sample(self.space.columns, row, rows[:0]) for row in rows]
            self.model.learn("task", samples, seconds)
            self.tuner.tell(points, seconds)
        return met


TUNERS = ("random", "gridsearch", "ga", "xgb")


@pytest.mark.parametrize("name", TUNERS)
def test_a_tuner_goes_through_a_small_space_once_and_ends(name: str) -> None:
    small = ConfigSpace(
        "small",
        [Knob("a", "split", factorizations(8, 2)), Knob("b", "choice", (1, 2, 3)), Knob("c", "choice", ("x", "y"))],
        [Limit.of("odd", lambda a, b: a[0] * b != 8)],
    )
    bench = Bench(name, small, 1)
    bench.tuner.tell([first := small.point(0)], [1.0])
    met: list[Point] = []
    while points := bench.tuner.next(5):
        met += points
        bench.tuner.tell(points, [1.0 + sum(point) for point in points])
    assert len(met) == len(set(met))
    assert first not in met
    assert {*met, first} == {p for p in map(small.point, range(small.size)) if small.valid(p)}


@pytest.mark.parametrize("name", ["ga", "xgb"])
def test_what_was_learned_leads_to_better_points_than_chance(name: str) -> None:
    def found(tuner: str, seed: int) -> tuple[float, float]:
        """The best of 64 points, and the middle one of the last 24."""
        whole = space()
        seconds = [seconds_of(point, whole) for point in Bench(tuner, whole, seed).run(64)]
        return min(seconds), sorted(seconds[-24:])[12]

    pairs = [(found(name, seed), found("random", seed)) for seed in range(4)]
    assert all(learned[1] < chance[1] for learned, chance in pairs)
    assert sum(learned[0] for learned, _ in pairs) < sum(chance[0] for _, chance in pairs)


@pytest.mark.parametrize("name", TUNERS)
def test_equal_seeds_give_equal_points(name: str) -> None:
    assert Bench(name, space(), 3).run(40) == Bench(name, space(), 3).run(40)


def test_a_model_that_is_warm_from_another_task_finds_good_points_at_once() -> None:
    teacher, cold = Bench("xgb", space(128), 1), Bench("xgb", space(64), 5)
    teacher.run(96)
    warm = Bench("xgb", space(64), 5)
    warm.tuner = BoostedSearch(warm.space, Random(5), teacher.model, warm.program)
    first = [sorted(seconds_of(p, bench.space) for p in bench.tuner.next(16))[8] for bench in (warm, cold)]
    assert first[0] < first[1]
