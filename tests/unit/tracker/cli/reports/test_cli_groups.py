"""Classes of device in few words, and the screen of several jobs."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tvm_farm.tracker.cli.reports.group_progress import group_rendering, short_names
from tvm_farm.tracker.cli.reports.progress import Progress
from tvm_farm.tracker.cli.reports.wording import announcement
from tvm_farm.tracker.domain import Artifact, Job, JobGroup, JobKind, JobSpec, JobState, Task

SPEC = JobSpec(JobKind.TUNE, "squeezenet", Artifact("d", 1), "arm64", max_trials=100)
JOBS = [
    Job(f"net-1.{n}", replace(SPEC, max_trials=each, budget_s=60.0), device_class=name, group="net-1", devices=n)
    for n, each, name in ((1, 34, "pi-4-full-4t"), (2, 33, "pi-5-full-4t"), (3, 33, "pi-5-micro-4t"))
]


@pytest.mark.parametrize(
    ("classes", "short"),
    [
        (["pi-4-full-4t", "pi-5-full-4t"], ["pi-4", "pi-5"]),
        (
            ["pi-4-b-rev-1-a72-full-4t-tvm1", "pi-5-b-rev-1-a76-full-4t-tvm1", "nanopc-t4-a72-a53-micro-6t"],
            ["pi-4-b", "pi-5-b", "nanopc-t4-a72"],
        ),
        (["pi-4-b-rev-1.4-full", "pi-4-b-rev-1.2-full"], ["1.4", "1.2"]),
        (["x-a-b-c-d-1-y", "z-a-b-c-d-1-y", "z-a-b-c-d-2-y"], ["x-a-b-c-d-1", "z-a-b-c-d-1", "z-a-b-c-d-2"]),
        (["pi-5-full-4t-tvm0.27", "pi-5-micro-4t"], ["full-4t-tvm0.27", "micro-4t"]),
        (["pi-4", "rk3399"], ["pi-4", "rk3399"]),
        (["pi-4", "pi-4-x"], ["pi-4", "pi-4-x"]),  # one has no word of its own
        (["a-b-c", "a-c"], ["a-b-c", "a-c"]),
        (["pi-4"], ["pi-4"]),
        ([], []),
    ],
)
def test_short_names_tell_classes_apart(classes: list[str], short: list[str]) -> None:
    assert short_names(classes) == dict(zip(classes, short, strict=True))


def test_an_announcement_says_the_numbers() -> None:
    assert announcement(JobGroup(tuple(JOBS))).splitlines()[2:] == [
        "  1. pi-4-full-4t (1 device): 34 of 100 trials or 1m 00s of 3m 00s",
        "  2. pi-5-full-4t (2 devices): 33 of 100 trials or 1m 00s of 3m 00s",
        "  3. pi-5-micro-4t (3 devices): 33 of 100 trials or 1m 00s of 3m 00s",
    ]
    compiled = [replace(job, spec=replace(SPEC, kind=JobKind.COMPILE, max_trials=0)) for job in JOBS]
    assert announcement(JobGroup(tuple(compiled))).splitlines() == [
        "Pool arm64 has 3 classes of device; each gets a package of its own.",
        "  1. pi-4-full-4t (1 device)",
        "  2. pi-5-full-4t (2 devices)",
        "  3. pi-5-micro-4t (3 devices)",
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize(("height", "tasks"), [(24, 10), (16, 100), (60, 100)])
def test_a_screen_holds_every_class_and_as_many_tasks_as_fit(height: int, tasks: int, width: int) -> None:
    measured = tuple(Task(f"t{n}", f"fused_conv2d_{n}", "w", 1, 1e6, untuned_s=0.2, best_s=0.1) for n in range(tasks))
    job = replace(JOBS[1], state=JobState.RUNNING, phase="tuning", tasks=measured, trials=7)
    working = Progress()
    working.update(job, 0.0)
    out = io.StringIO()
    Console(file=out, width=width, height=height).print(group_rendering([JOBS[0], job, JOBS[2]], working, 0.0, height))
    lines = out.getvalue().splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    for each in JOBS:
        assert any(each.id in line for line in lines) or "Not shown: job" in out.getvalue()
    shown = sum("fused_conv2d_" in line for line in lines)
    assert shown == tasks or lines[-1].strip() == f"+{tasks - shown} more"
