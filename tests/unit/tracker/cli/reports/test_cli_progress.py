"""A running job in figures, and how many of its tasks fit on a screen."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tvm_farm.tracker.cli.reports.progress import PlainView, Progress, by_time_share, estimate, rendering
from tvm_farm.tracker.domain import Artifact, Job, JobKind, JobSpec, JobState, Task

SPEC = JobSpec(JobKind.TUNE, "squeezenet", Artifact("d", 1), "x86_64", budget_s=120.0)
JOB = Job("3f2a", SPEC, JobState.RUNNING, "tuning", devices=2, utilisation=0.87)


def task(name: str, weight: int, untuned_s: float, best_s: float, flops: float = 1e6, **rest: int) -> Task:
    return Task(name, name, "w", weight, flops, untuned_s=untuned_s, best_s=best_s, **rest)


def screen_of(progress: Progress, at_s: float, width: int = 80, height: int = 24) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, height=height).print(rendering(progress, at_s, height))
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("tasks", "tuned_s", "known"),
    [
        ([], 0, 0),
        ([task("a", 2, 0.1, 0.02), task("b", 1, 0.3, 0.3)], 0.34, 2),
        ([task("a", 2, 0.1, 0.02), task("b", 1, 0, 0)], 0, 1),
        ([task("slower", 3, 0.1, 0.2)], 0.3, 1),
        ([task("a", 1, 0, 0.02)], 0.02, 1),
        ([task("a", 1, 0.1, 0)], 0.1, 1),
    ],
    ids=["no tasks", "all known", "one unknown", "slower than untuned", "untuned unknown", "only untuned"],
)
def test_estimate(tasks: list[Task], tuned_s: float, known: int) -> None:
    guess = estimate(tasks)
    assert (guess.tuned_s, guess.known) == (pytest.approx(tuned_s), known)


def test_tasks_are_ordered_by_the_time_the_model_spends_in_them_and_unmeasured_ones_come_last() -> None:
    tasks = [
        task("unmeasured small", 1, 0, 0, flops=1e6),
        task("often", 10, 0.02, 0.01),
        task("unmeasured big", 1, 0, 0, flops=1e9),
        task("once", 1, 0.05, 0.05),
    ]
    assert [t.name for t in by_time_share(tasks)] == ["often", "once", "unmeasured big", "unmeasured small"]


def test_pace_is_of_the_last_half_minute() -> None:
    progress = Progress()
    for second in range(101):
        progress.update(replace(JOB, trials=second if second < 50 else 50 + (second - 50) * 4), at_s=float(second))
    assert progress.trials_per_s(100.0) == pytest.approx(4.0)


def test_a_burst_of_the_log_is_no_pace() -> None:
    progress = Progress()
    for at_s, trials, recalled in ((0.0, 0, 0), (2.0, 400, 400)):
        progress.update(replace(JOB, spec=replace(SPEC, max_trials=500), trials=trials, recalled=recalled), at_s)
    assert progress.trials_per_s(2.0) == pytest.approx(200.0)
    task_of = (task("a", 1, 0.1, 0.05),)
    spec = replace(SPEC, budget_s=0.0, max_trials=500)
    progress.update(replace(JOB, spec=spec, trials=420, recalled=400, tasks=task_of), 10.0)
    assert progress.trials_per_s(10.0) == pytest.approx(2.0)
    assert progress.left_s(10.0) == pytest.approx(40.0)
    assert "420 of 500 trials (400 from the log)" in progress.figures(10.0)


def test_pace_needs_a_second_of_watching() -> None:
    progress = Progress()
    progress.update(replace(JOB, trials=400), 10.0)
    assert progress.trials_per_s(10.0) == 0
    progress.update(replace(JOB, trials=410), 10.5)
    assert progress.trials_per_s(10.5) == 0
    progress.update(replace(JOB, trials=412), 12.0)
    assert progress.trials_per_s(12.0) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("job", "left_s"),
    [
        (replace(JOB, tuned_for_s=30.0), 85.0),
        (replace(JOB, tuned_for_s=500.0), 0.0),
        (replace(JOB, tuned_for_s=30.0, phase="packaging"), None),
        (replace(JOB, state=JobState.QUEUED), None),
        (replace(JOB, spec=replace(SPEC, budget_s=0.0)), None),
        (replace(JOB, spec=replace(SPEC, budget_s=0.0, max_trials=120), trials=20), 75.0),  # 20 in 15 s
        (replace(JOB, spec=replace(SPEC, max_trials=120), trials=20, tuned_for_s=90.0), 25.0),
    ],
    ids=["budget", "over budget", "not tuning", "queued", "no limit", "trials", "whichever ends first"],
)
def test_time_left(job: Job, left_s: float | None) -> None:
    progress = Progress()
    progress.update(replace(job, trials=0), 90.0)
    progress.update(job, 100.0)
    assert progress.left_s(105.0) == (None if left_s is None else pytest.approx(left_s))


def test_a_screen_shows_the_heaviest_tasks_and_counts_the_rest() -> None:
    tasks = tuple(task(f"fused_conv2d_{i}", 1, 0.001 * (i + 1), 0.001 * (i + 1)) for i in range(191))
    progress = Progress()
    progress.update(replace(JOB, tasks=tasks, trials=200), 0.0)
    lines = screen_of(progress, 0.0)
    assert len(lines) <= 24
    assert "fused_conv2d_190" in lines[5]
    shown = sum("fused_conv2d_" in line for line in lines)
    assert lines[-1].strip() == f"+{191 - shown} more"


def test_narrow_screens_cut_names_and_never_numbers() -> None:
    long = task("fused_conv2d3_add3_relu1_concatenate_and_more_of_it_than_fits", 1, 0.2413, 0.0121, flops=1e9)
    progress = Progress()
    progress.update(replace(JOB, tasks=(long,)), 0.0)
    row = next(line for line in screen_of(progress, 0.0, width=70) if line.startswith("fused"))
    assert len(row) <= 70
    assert "…" in row
    for cell in ("12.1 ms", "82.6", "241 ms"):
        assert cell in row


def test_a_job_without_a_device_says_so() -> None:
    progress = Progress()
    progress.update(replace(JOB, devices=0), 0.0)
    assert "no device connected" in screen_of(progress, 0.0)[1]
    progress.update(replace(JOB, state=JobState.QUEUED, phase=""), 0.0)
    assert "waiting for a worker (`tracker worker` adds one)" in screen_of(progress, 0.0)[1]


def test_plain_lines_come_at_each_change_of_phase_and_not_at_each_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    measured = replace(JOB, tasks=(task("a", 1, 0.2, 0.1, trials=3, failed=1),), trials=3)
    with PlainView(every_s=3600.0) as view:
        for job in (replace(JOB, phase="importing model"), JOB, JOB, measured, replace(measured, phase="packaging")):
            view.show(job)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert [line.split(", ")[0].split("] ")[1] for line in lines] == ["importing model", "tuning", "packaging"]
    assert "3 trials (1 failed)" in lines[2]
    assert lines[2].endswith("estimated model latency 100 ms")
