"""The closing table and the closing line."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tvm_farm.tracker.cli.reports.results import closing_line, print_result
from tvm_farm.tracker.domain import Artifact, BucketResult, Job, JobKind, JobResult, JobSpec, JobState, Task, TaskResult

TASKS = (
    TaskResult("fused_conv2d", 2, 1e9, 60, 0.1, 0.005),
    TaskResult("fused_softmax", 1, 0.0, 4, 0.0013, 0.0013, kept_untuned=True),
)
RESULT = JobResult((), TASKS, 0.2413, 0.0121, 3.1e-7, 1e-4, 1e-5, True, "rpi4-3")


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (RESULT, "squeezenet: 241 ms -> 12.1 ms (19.9x), outputs equal (max |diff| 3e-07)"),
        (
            replace(RESULT, max_abs_diff=0.0, kept_untuned=True, tuned_s=0.2413),
            "squeezenet: 241 ms -> 241 ms (1.0x), outputs equal (max |diff| 0)",
        ),
        (
            replace(RESULT, outputs_equal=False, max_abs_diff=0.5),
            "squeezenet: 241 ms -> 12.1 ms (19.9x), outputs DIFFER (max |diff| 5e-01)",
        ),
        (
            replace(RESULT, untuned_s=0.0, tuned_s=0.0, device_name=""),
            "squeezenet: 201 ms -> 11.3 ms (17.8x), estimated from its tasks, outputs not compared",
        ),
        (
            replace(RESULT, untuned_s=0.0, tuned_s=0.0, device_name="", kernels_compared=2, kernels_equal=2),
            "squeezenet: 201 ms -> 11.3 ms (17.8x), estimated from its tasks, 2 of 2 kernels equal (max |diff| 3e-07)",
        ),
        (
            replace(RESULT, device_name="", max_abs_diff=26.8, kernels_compared=3, kernels_equal=2),
            "squeezenet: 201 ms -> 11.3 ms (17.8x), estimated from its tasks, 2 of 3 kernels equal, 1 DIFFERS "
            "(max |diff| 3e+01)",
        ),
        (
            replace(RESULT, max_abs_diff=0.0, nothing_compared=True, judge="ONNX Runtime 1.31.1"),
            "squeezenet: 241 ms -> 12.1 ms (19.9x), nothing compared: no value of the answers is finite",
        ),
        (
            replace(RESULT, outputs_equal=False, max_abs_diff=0.0, nothing_compared=True),
            "squeezenet: 241 ms -> 12.1 ms (19.9x), outputs DIFFER (max |diff| 0)",
        ),
        (JobResult(), "squeezenet: latency not measured, outputs not compared"),
    ],
    ids=[
        "tuned",
        "kept untuned",
        "outputs differ",
        "no device runs whole models",
        "kernels compared",
        "a wrong kernel",
        "nothing finite",
        "nothing finite that should be",
        "nothing measured",
    ],
)
def test_closing_line(result: JobResult, line: str) -> None:
    assert closing_line("squeezenet", result) == line


def table_of(result: JobResult, width: int = 100, job_id: str = "3f2a", **changes: Any) -> str:
    of_model = JobSpec(JobKind.TUNE, "squeezenet", Artifact("d", 1), "arm64")
    job = Job(job_id, changes.pop("spec", of_model), JobState.DONE, result=result, **changes)
    out = io.StringIO()
    print_result(Console(file=out, width=width), job)
    return out.getvalue()


def test_an_operator_alone_is_a_row_alone() -> None:
    spec = JobSpec(JobKind.TUNE, "mm", Artifact("d", 1), "arm64", operator="mm")
    out = io.StringIO()
    result = replace(RESULT, tasks=RESULT.tasks[:1])
    print_result(Console(file=out, width=100), Job("mm-1", spec, JobState.DONE, result=result))
    _, row, blank, *_ = out.getvalue().splitlines()
    assert (row.split()[0], blank) == (result.tasks[0].name, "")


def test_who_taught_the_search_is_told() -> None:
    told = table_of(replace(RESULT, taught_by=("pi4", "pi5"), taught_tasks=1))
    assert "1 of 2 tasks began with what was fast on pi4, pi5." in told
    of_this_class = replace(RESULT, taught_by=("", "pi5"), taught_tasks=1)  # the job's class is "" here
    assert "1 of 2 tasks began with what was fast on this class before, pi5." in table_of(of_this_class)
    # Of the classes of one tune only those after the first could have been taught.
    for job_id, group, nobody in (("net", "", False), ("net.1", "net", False), ("net.2", "net", True)):
        assert ("none has measured these operators" in table_of(RESULT, job_id=job_id, group=group)) is nobody


def test_what_the_log_answered_is_no_lack_of_records() -> None:
    told = " ".join(table_of(RESULT, job_id="net.2", group="net", trials=64, recalled=64).split())
    assert "none has measured these operators" not in told
    assert "The log answered 64 of 64 trials; no board measured any." in told
    assert "The log answered 4 of 64 trials; boards measured the others." in table_of(RESULT, trials=64, recalled=4)


def test_a_timing_of_the_log_that_did_not_hold_is_told() -> None:
    slower, faster = (Task("3f2a/1", "fused_softmax", "w", 1, untuned_s=0.0013, best_s=s) for s in (0.0014, 0.0011))
    kept = "kept: no schedule proved faster beside the untuned one, so that one is in the package."
    assert "did not hold" not in table_of(RESULT, tasks=(slower,))
    assert f"{kept} The log has faster timings of fused_softmax, which did not hold" in " ".join(
        table_of(RESULT, tasks=(faster,)).split()
    )
    # Of two shapes of an input each has a task of that name.
    assert "faster timings of fused_softmax, which" in " ".join(table_of(RESULT, tasks=(faster, faster)).split())


def test_the_table_has_each_task_and_then_the_model() -> None:
    rows = [re.split(r"\s{2,}", line.strip()) for line in table_of(RESULT).splitlines() if line.strip()]
    assert rows[0] == ["task", "weight", "untuned", "tuned", "speed-up", "GFLOP/s", "trials"]
    assert rows[1] == ["fused_conv2d", "2", "100 ms", "5.00 ms", "20.0x", "200", "60"]
    assert rows[2] == ["fused_softmax", "1", "1.30 ms", "1.30 ms", "kept", "—", "4"]
    assert rows[3] == ["squeezenet", "241 ms", "12.1 ms", "19.9x", "165", "64"]


def test_an_operator_of_one_task_has_one_row() -> None:
    spec = JobSpec(JobKind.TUNE, "matmul", Artifact("d", 1), "arm64", operator="op.py:matmul")
    told = table_of(replace(RESULT, tasks=TASKS[:1]), spec=spec).splitlines()
    assert [line.split()[0] for line in told[: told.index("")]] == ["task", "fused_conv2d"]


def test_operations_a_second_are_not_told_of_several_shapes_at_once() -> None:
    """The tasks are those of all shapes, the latency is that of the largest."""
    of_two = replace(RESULT, buckets=(BucketResult("x=1,4", "these alone"), BucketResult("x=1,8", "these alone")))
    [row] = [line.split() for line in table_of(of_two).splitlines() if line.startswith("squeezenet")]
    assert row[-2:] == ["—", "64"]


def test_notes_are_a_sentence() -> None:
    assert "Note: input sr is fixed to 16000." in table_of(replace(RESULT, note="input sr is fixed to 16000"))
    assert "Note: It is cut.\n" in table_of(replace(RESULT, note="It is cut."))


def test_the_reader_learns_where_it_ran_and_how_equality_was_judged() -> None:
    text = " ".join(table_of(RESULT).split())
    assert "ran on rpi4-3 with the same random input: outputs equal, max |diff| 3e-07" in text
    assert "rtol 0.0001, atol 1e-05" in text
    assert "kept: no schedule proved faster" in text


def test_without_a_whole_model_run_the_sum_is_called_one_and_the_note_is_shown() -> None:
    text = table_of(replace(RESULT, untuned_s=0.0, tuned_s=0.0, note="No device of the pool runs whole models."))
    assert "squeezenet (sum of tasks)" in text
    assert "No device of the pool runs whole models." in text
    assert "same random input" not in text


def test_a_wrong_kernel_is_called_one() -> None:
    wrong = replace(TASKS[0], tuned_s=0.1, kept_untuned=True, max_abs_diff=26.8, wrong_result=True)
    result = JobResult((), (wrong,), 0.2, 0.2, 26.8, 1e-4, 1e-2, kernels_compared=1)
    text = table_of(result)
    assert re.split(r"\s{2,}", text.splitlines()[1].strip())[4] == "wrong"
    told = " ".join(text.split())
    assert "0 of 1 kernels equal, 1 DIFFERS (max |diff| 3e+01), tolerance: rtol 0.0001, atol 0.01." in told
    assert "kept: no schedule" not in told


@pytest.mark.parametrize(("tasks", "rows"), [(TASKS[:1], 1), (TASKS, 3)], ids=["one kernel", "two kernels"])
def test_an_operator_of_one_kernel_has_its_row_alone(tasks: tuple[TaskResult, ...], rows: int) -> None:
    spec = JobSpec(JobKind.TUNE, "mm", Artifact("d", 1), "arm64", operator="op.py:mm")
    screen = Console(file=io.StringIO(), width=100)
    print_result(screen, Job("mm-1", spec, JobState.DONE, result=replace(RESULT, tasks=tasks)))
    told = screen.file.getvalue()  # type: ignore[attr-defined]
    table = told.split("\n\n")[0].splitlines()
    assert len(table) == 1 + rows, told
