"""The contract that every engine keeps, on real workloads."""

import json

import pytest

tvm = pytest.importorskip("tvm")

from tvm.s_tir.meta_schedule.testing import te_workload  # noqa: E402

from tracker.tuning.engines.ansor import AnsorEngine, Experience  # noqa: E402
from tracker.tuning.engines.base import Learned  # noqa: E402
from tracker.tuning.engines.space import apply_trace  # noqa: E402

pytestmark = pytest.mark.system
TARGET = tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2})


def workload(name: str) -> tvm.ir.IRModule:
    if name == "matmul":
        tensors = te_workload.matmul(64, 64, 64)
    else:
        tensors = te_workload.conv2d_nhwc(1, 14, 14, 16, 16, 3, 1, 1)
    function = tvm.te.create_prim_func(tensors).with_attr("global_symbol", "main")
    return tvm.IRModule({"main": function})


def ansor(module: tvm.ir.IRModule, seed: int = 1) -> AnsorEngine:
    return AnsorEngine(module, TARGET, "task", Experience(1, seed), seed=seed)


@pytest.fixture(params=["matmul", "conv2d"])
def module(request):
    return workload(request.param)


@pytest.fixture(params=[ansor], ids=["ansor"])
def engine(request, module):
    return request.param(module)


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


def test_what_was_replayed_is_not_proposed_again(module):
    candidates = ansor(module).propose(8)
    successor = ansor(module)
    assert all(successor.replay(candidate.trace, (1e-3,)) for candidate in candidates)
    proposed = {candidate.key for candidate in successor.propose(8)}
    assert proposed
    assert not proposed & {candidate.key for candidate in candidates}


@pytest.mark.parametrize(("mine", "other"), [("matmul", "conv2d"), ("conv2d", "matmul")])
def test_a_trace_of_another_workload_is_refused(mine, other):
    foreign = ansor(workload(other)).propose(1)[0].trace
    assert ansor(workload(mine)).replay(foreign, (1e-3,)) is False


def test_the_same_seed_proposes_the_same(module):
    assert [c.key for c in ansor(module, 5).propose(6)] == [c.key for c in ansor(module, 5).propose(6)]
