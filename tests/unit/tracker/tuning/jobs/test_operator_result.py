"""What a job of an operator tells, from what came of its kernels."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("tvm")

from tvm_farm.tracker.domain import JobResult
from tvm_farm.tracker.tuning.jobs.result import operator_result
from tvm_farm.tracker.tuning.judging.finals import Winner
from tvm_farm.tracker.tuning.judging.kernel_verification import KernelVerdict
from tvm_farm.tracker.tuning.search.task_state import TaskState


def verdict(name: str = "mine", trace: str = "[]", **changes: object) -> KernelVerdict:
    """Of a kernel that took 8 ms untuned and 2 ms tuned in the finals, and 9 and 3 beside each other."""
    task = TaskState(name, name, 1, "w", 1e6, "", (), lambda: None, "ansor")  # type: ignore[arg-type,return-value]
    winner = Winner(task, trace, 0.002 if trace else 0.008, 0.008, "t1")
    told = KernelVerdict(winner, True, 1e-7, 1e-4, 1e-5, "board", untuned_s=0.009, tuned_s=0.003 if trace else 0.009)
    return replace(told, **changes)  # type: ignore[arg-type]


def rows(result: JobResult) -> list[tuple[str, float, float, bool, bool]]:
    return [(row.name, row.untuned_s, row.tuned_s, row.kept_untuned, row.wrong_result) for row in result.tasks]


def test_it_is_told_as_it_ran_beside_its_untuned_kernel() -> None:
    result = operator_result([verdict()], [])
    assert rows(result) == [("mine", 0.009, 0.003, False, False)]
    assert (result.untuned_s, result.tuned_s, result.outputs_equal) == (0.009, 0.003, True)
    assert (result.device_name, result.max_abs_diff, result.rtol, result.atol) == ("board", 1e-7, 1e-4, 1e-5)
    assert (result.note, result.kept_untuned) == ("", False)


def test_several_kernels_add_up() -> None:
    result = operator_result([verdict("a"), verdict("b", device_name="other", max_abs_diff=1e-6)], [])
    assert (result.untuned_s, result.tuned_s) == (0.018, 0.006)
    assert (result.device_name, result.max_abs_diff) == ("board, other", 1e-6)


@pytest.mark.parametrize(
    ("told", "wrong", "equal", "note"),
    [
        pytest.param(verdict(equal=False, max_abs_diff=0.5), True, False, "answers differently", id="a wrong kernel"),
        pytest.param(verdict(tuned_s=0.010), False, True, "", id="slower beside it"),
        pytest.param(verdict(trace=""), False, True, "", id="nothing faster was found"),
    ],
)
def test_the_untuned_kernel_is_kept(told: KernelVerdict, wrong: bool, equal: bool, note: str) -> None:
    result = operator_result([told], [])
    assert rows(result) == [("mine", 0.009, 0.009, True, wrong)]
    assert (result.tuned_s, result.kept_untuned, result.outputs_equal) == (0.009, True, equal)
    assert note in result.note
    assert bool(note) == bool(result.note)


def test_what_was_not_compared_has_the_times_of_the_finals_and_says_why() -> None:
    fault = "the untuned kernel failed on board: run timeout"
    told = verdict(equal=False, max_abs_diff=None, untuned_s=0.0, tuned_s=0.0, device_name="", fault=fault)
    result = operator_result([verdict("a"), told], [])
    assert rows(result)[1] == ("mine", 0.008, 0.002, False, False)
    assert (result.device_name, result.kernels_compared, result.kernels_equal) == ("", 1, 1)
    assert result.note == f"mine could not be compared with its untuned kernel: {fault}"
    nowhere = operator_result([replace(told, fault="no device")], [], "no device of this class runs kernels")
    assert (nowhere.note, nowhere.kernels_compared) == ("no device of this class runs kernels", 0)


def test_kernels_without_a_finite_value_prove_nothing() -> None:
    nothing = verdict("b", compared=False, max_abs_diff=0.0)
    assert not operator_result([verdict("a"), nothing], []).nothing_compared
    result = operator_result([nothing], [])
    assert (result.nothing_compared, result.outputs_equal, result.max_abs_diff) == (True, True, 0.0)
    assert "b: no value of the answers is finite" in result.note
    other = verdict("c", equal=False, max_abs_diff=None, untuned_s=0.0, tuned_s=0.0, device_name="", fault="no device")
    summed = operator_result([nothing, verdict("a"), other], [])
    assert (summed.kernels_compared, summed.kernels_equal, summed.max_abs_diff) == (1, 1, 1e-7)


def test_a_winner_that_does_not_run_is_dropped() -> None:
    told = verdict(equal=False, max_abs_diff=None, untuned_s=0.0, tuned_s=0.0, fault="it crashed", failed=True)
    result = operator_result([told], [])
    assert rows(result) == [("mine", 0.008, 0.008, True, False)]
    assert "mine was dropped for the untuned one: it crashed" in result.note
