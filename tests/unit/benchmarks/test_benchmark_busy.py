"""A machine with other work: a harness waits for what it measures, and says what kept it from measuring."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import noise
from benchmarks.noise import timed_beside
from benchmarks.stock_runs import check_measured
from benchmarks.stock_tuning import DATABASE, StockOrder


def test_a_kernel_is_timed_until_builders_ran_beside_it() -> None:
    used_s, taken = iter([0.0, 0.0, 0.01]), iter([[1.0, 2.0], [3.0], [4.0], [5.0]])
    assert timed_beside(lambda: next(used_s), lambda: next(taken)) == [1.0, 2.0, 3.0, 4.0]


def test_builders_that_never_run_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "_BUILDERS_START_S", 0.0)
    with pytest.raises(RuntimeError, match="no builder ran in a minute"):
        timed_beside(lambda: 0.0, lambda: [1.0])


@pytest.fixture
def order(tmp_path: Path) -> StockOrder:
    """A tuning of two trials, both recorded."""
    (tmp_path / DATABASE).write_text("[0]\n[0]\n")
    return StockOrder("model.onnx", "llvm", 9190, str(tmp_path), 2)


def test_a_tuning_with_a_measured_trial_is_one(order: StockOrder) -> None:
    (order.folder / "measured.txt").write_text("1000.5 0.25\n")
    check_measured(order)


def test_a_tuning_that_measured_nothing_says_what_failed_first(order: StockOrder) -> None:
    logs = order.folder / "logs"
    logs.mkdir()
    # As TVM 0.27 writes them.
    (logs / "tvm.s_tir.meta_schedule.logging.task_0_matmul.log").write_text(
        "2026-11-28 22:51:00 [INFO] [task_scheduler.cc:175] Initializing Task #0\n"
        "2026-11-28 22:51:09 [INFO] [task_scheduler.cc:134] [Task #0: matmul] Trial #1: Error in building:\n"
        "LocalBuilder: Timeout, killed after 30.0 seconds\n"
        "# from tvm.script import ir as I\n"
    )
    told = "measured none of its 2 trials; the first: Error in building: LocalBuilder: Timeout, killed after 30.0 sec"
    with pytest.raises(RuntimeError, match=told):
        check_measured(order)


def test_a_tuning_that_lost_a_trial_is_none(order: StockOrder) -> None:
    (order.folder / DATABASE).write_text("[0]\n")
    with pytest.raises(RuntimeError, match="holds 1 trials of 2"):
        check_measured(order)
