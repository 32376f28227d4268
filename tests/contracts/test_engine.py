"""The contract that every engine keeps, on real workloads."""

import functools
import json
from collections.abc import Callable

import pytest

tvm = pytest.importorskip("tvm")

from tvm.s_tir.meta_schedule.testing import te_workload  # noqa: E402

from tvm_farm.tracker.domain.engine import AUTO, AUTOTVM, ENGINES  # noqa: E402
from tvm_farm.tracker.tuning.engines.ansor import AnsorEngine, Experience  # noqa: E402
from tvm_farm.tracker.tuning.engines.base import Engine, Known, Learned, Setting  # noqa: E402
from tvm_farm.tracker.tuning.engines.registry import maker  # noqa: E402
from tvm_farm.tracker.tuning.engines.sketch import Sketch, before_postprocessing  # noqa: E402
from tvm_farm.tracker.tuning.engines.space import apply_trace  # noqa: E402

pytestmark = pytest.mark.system
TARGET = tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2})


def workload(name: str) -> tvm.ir.IRModule:
    if name == "matmul":
        tensors = te_workload.matmul(64, 64, 64)
    else:
        tensors = te_workload.conv2d_nhwc(1, 14, 14, 16, 16, 3, 1, 1)
    function = tvm.te.create_prim_func(tensors).with_attr("global_symbol", "main")
    return tvm.IRModule({"main": function})


NewEngine = Callable[..., Engine]


@functools.cache
def makes(name: str) -> NewEngine:
    """Alone in its job: what it learns is of its own task."""

    def new(module: tvm.ir.IRModule, seed: int = 1) -> Engine:
        return maker(name, Setting(TARGET, seed)).new(module, "task", seed)

    return new


ansor = makes("ansor")


@pytest.fixture(params=["matmul", "conv2d"])
def module(request):
    return workload(request.param)


# Without a tuner behind it "autotvm" is one of the others.
@pytest.fixture(params=[name for name in ENGINES if name not in (AUTO, AUTOTVM)])
def new_engine(request) -> NewEngine:
    return makes(request.param)


@pytest.fixture
def engine(new_engine, module):
    return new_engine(module)


def test_candidates_are_new_each_time_and_no_more_than_asked(engine):
    seen = set()
    for count in (3, 5, 8):
        candidates = engine.propose(count)
        assert 0 < len(candidates) <= count
        keys = {candidate.key for candidate in candidates}
        assert len(keys) == len(candidates)
        assert not keys & seen
        seen |= keys
        engine.report([Learned(c, (1e-3 / (n + 1),)) for n, c in enumerate(candidates)])


def test_a_trace_replays_to_the_program_that_was_proposed(engine, module):
    for candidate in engine.propose(4):
        json.loads(candidate.trace)
        replayed = apply_trace(module, candidate.trace).mod
        assert tvm.s_tir.meta_schedule.utils.shash2hex(replayed) == candidate.key
        assert tvm.s_tir.meta_schedule.utils.shash2hex(tvm.ir.load_json(candidate.module)) == candidate.key


def test_results_may_come_late_in_parts_and_as_failures(engine):
    first, second = engine.propose(4), engine.propose(4)
    engine.report([Learned(second[0], ())])
    engine.report([Learned(c, (1e-3,)) for c in first] + [Learned(c, ()) for c in second[1:]])
    engine.report([])
    assert engine.propose(4)


def test_what_was_replayed_is_not_proposed_again(new_engine, module):
    candidates = new_engine(module).propose(8)
    successor = new_engine(module)
    assert all(successor.replay(candidate.trace, (1e-3,)) for candidate in candidates)
    proposed = {candidate.key for candidate in successor.propose(8)}
    assert proposed
    assert not proposed & {candidate.key for candidate in candidates}


@pytest.mark.parametrize(("mine", "other"), [("matmul", "conv2d"), ("conv2d", "matmul")])
def test_a_trace_of_another_workload_is_refused(new_engine, mine, other):
    foreign = new_engine(workload(other)).propose(1)[0].trace
    assert new_engine(workload(mine)).replay(foreign, (1e-3,)) is False


def test_the_same_seed_proposes_the_same(new_engine, module):
    assert [c.key for c in new_engine(module, 5).propose(6)] == [c.key for c in new_engine(module, 5).propose(6)]


def test_equal_calls_give_equal_proposals():
    """What resuming a job relies on: also with a trained cost model, relatives, and lessons in parts."""

    def searched() -> list[str]:
        experience, traces = Experience(1, 3), []
        engines = [AnsorEngine(workload(name), TARGET, name, experience, seed=3) for name in ("matmul", "conv2d")]
        known = traces_of(ansor, workload("matmul"), 10)
        engines[0].begin_with([Known("other", trace, 1e-3 * (n + 1)) for n, trace in enumerate(known)])
        late = []
        for _ in range(4):
            for engine in engines:
                candidates = engine.propose(6)
                traces += [candidate.trace for candidate in candidates]
                results = [Learned(c, (1e-6 * (1 + int(c.key, 16) % 977),), 0.01 * n) for n, c in enumerate(candidates)]
                engine.report(late + results[:4])
                late = results[4:] if engine is engines[0] else []
        return traces

    once = searched()
    assert len(once) == len(set(once)) == 48
    assert searched() == once


def traces_of(new_engine: NewEngine, module: tvm.ir.IRModule, count: int) -> list[str]:
    return [candidate.trace for candidate in new_engine(module, 7).propose(count)]


def test_what_was_best_elsewhere_is_proposed_first_and_measured_here(new_engine, module):
    traces = traces_of(new_engine, module, 16)
    known = [Known("other", trace, 1e-3 * (n + 1)) for n, trace in enumerate(traces)]
    pupil = new_engine(module, 8)
    assert pupil.begin_with(known[::-1]) == known
    batch = [candidate.trace for candidate in pupil.propose(8)]
    assert batch[:6] == traces[:6]
    # They are candidates as any other: what this class makes of them is learned.
    assert len(batch) == 8
    pupil.report([Learned(candidate, (1e-3,)) for candidate in pupil.propose(4)])
    assert pupil.propose(4)


def test_classes_are_heard_in_turn_whatever_their_seconds(new_engine, module):
    fast, slow = traces_of(new_engine, module, 8)[:4], traces_of(new_engine, module, 8)[4:]
    pupil = new_engine(module, 8)
    known = [Known("fast", trace, 1e-6 * (n + 1)) for n, trace in enumerate(fast)]
    known += [Known("slow", trace, 1.0 + n) for n, trace in enumerate(slow)]
    assert len(pupil.begin_with(known)) == 8
    batch = [candidate.trace for candidate in pupil.propose(6)]
    assert batch[:4] == [fast[0], slow[0], fast[1], slow[1]]


def test_what_was_replayed_is_not_measured_again_because_it_was_fast_elsewhere(new_engine, module):
    traces = traces_of(new_engine, module, 6)
    pupil = new_engine(module, 8)
    assert pupil.replay(traces[0], (1e-3,))
    assert len(pupil.begin_with([Known("other", trace, 1e-3) for trace in traces])) == 6
    proposed = [candidate.trace for _ in range(4) for candidate in pupil.propose(8)]
    assert traces[0] not in proposed
    assert set(traces[1:]) <= set(proposed)


def test_what_another_engine_has_measured_is_learned_from(new_engine, module):
    other = makes("autotvm-random") if new_engine is ansor else ansor
    traces = traces_of(other, module, 16)
    pupil = new_engine(module, 8)
    assert pupil.replay(traces[0], (1.0,))
    assert len(pupil.begin_with([Known("there", trace, 1.0 + n) for n, trace in enumerate(traces)])) == 16
    for _ in range(4):
        candidates = pupil.propose(8)
        assert len(candidates) == 8
        pupil.report([Learned(candidate, (1.0 + n,)) for n, candidate in enumerate(candidates)])


def test_what_was_fast_for_a_near_shape_is_refitted_and_tried_first():
    tensors = te_workload.matmul(128, 128, 96)
    near = tvm.IRModule({"main": tvm.te.create_prim_func(tensors).with_attr("global_symbol", "main")})
    traces = traces_of(ansor, near, 8)
    known = [Known("here", trace, 1e-3 * (n + 1), workload="near") for n, trace in enumerate(traces)]
    pupil = ansor(workload("matmul"), 8)
    assert pupil.begin_with(known) == known
    first = [Sketch.of(before_postprocessing(candidate.trace)) for candidate in pupil.propose(8)]
    adopted = [
        mine.decisions == mine.adopt(theirs)
        for mine in first
        for theirs in (Sketch.of(before_postprocessing(trace)) for trace in traces[:4])
    ]
    # Relatives keep four of a task.
    assert sum(adopted) >= 2
    untaught = [Sketch.of(before_postprocessing(c.trace)) for c in ansor(workload("matmul"), 8).propose(8)]
    assert [sketch.decisions for sketch in untaught] != [sketch.decisions for sketch in first]


def test_a_templates_knobs_are_refitted_to_a_near_shape_and_tried_first():
    tensors = te_workload.matmul(128, 96, 96)
    near = tvm.IRModule({"main": tvm.te.create_prim_func(tensors).with_attr("global_symbol", "main")})
    new = makes("autotvm-xgb")
    traces = traces_of(new, near, 8)
    known = [Known("here", trace, 1e-3 * (n + 1), workload="near") for n, trace in enumerate(traces)]
    known.append(Known("here", traces_of(ansor, near, 1)[0], 1.0, workload="near"))
    pupil = new(workload("matmul"), 8)
    assert pupil.begin_with(known) == known[:8], "rules' decisions are nothing for a template"
    inner = [[knobs[name].split("x")[1:] for name in ("tile_m", "tile_n")] for knobs in map(knobs_of, traces)]
    fits = [factors for factors in inner if all(64 % (int(a) * int(b)) == 0 for a, b in factors)]
    assert fits
    candidates = [knobs_of(candidate.trace) for candidate in pupil.propose(8)]
    tried = [[knobs[name].split("x")[1:] for name in ("tile_m", "tile_n")] for knobs in candidates]
    # Half a batch; the rest is drawn as ever, and nothing of theirs counts as measured here.
    assert all(factors in tried[:4] for factors in inner[:4] if factors in fits)
    assert len(pupil.propose(8)) == 8


def knobs_of(trace: str) -> dict[str, str]:
    steps = json.loads(trace)[0]
    written = next(inputs[1] for kind, inputs, names, _ in steps if (kind, names) == ("Annotate", ["tvm_farm.config"]))
    return dict(part.split("=") for part in written.strip('"').split(";")[1:])


@pytest.mark.parametrize(("mine", "other"), [("matmul", "conv2d"), ("conv2d", "matmul")])
def test_traces_that_do_not_apply_are_left_out(new_engine, mine, other):
    foreign, fits = traces_of(new_engine, workload(other), 2), traces_of(new_engine, workload(mine), 2)
    pupil = new_engine(workload(mine), 8)
    known = [Known("other", trace, seconds) for trace, seconds in zip([*foreign, *fits], (1, 2, 3, 4), strict=True)]
    assert pupil.begin_with(known) == known[2:]
    assert [candidate.trace for candidate in pupil.propose(4)][:2] == fits
    assert new_engine(workload(mine), 8).begin_with([]) == []


def test_seconds_of_another_class_are_none_of_this_one(new_engine, module):
    """The cost model compares a class with itself: a machine a thousand times faster makes no schedule here bad."""
    traces = traces_of(new_engine, module, 24)
    scores = []
    for factor in (1.0, 1e-3):
        pupil = new_engine(module, 8)
        pupil.begin_with([Known("other", trace, factor * (n + 1)) for n, trace in enumerate(traces)])
        candidates = pupil.propose(8)
        pupil.report([Learned(candidate, (1.0 + n,)) for n, candidate in enumerate(candidates)])
        scores.append([candidate.key for candidate in pupil.propose(8)])
    assert scores[0] == scores[1]
