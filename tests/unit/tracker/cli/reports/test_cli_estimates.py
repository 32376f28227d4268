"""What the log says of a model: sums over what is known, and what they leave out."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tvm_farm.tracker.cli.reports.estimates import estimate_line, print_estimate, print_estimates
from tvm_farm.tracker.client.errors import FarmError
from tvm_farm.tracker.domain import Artifact, Job, JobKind, JobResult, JobSpec, JobState, TaskResult

CONV = TaskResult("fused_conv2d", 2, 1e9, 0, 0.1, 0.005)
SOFTMAX = TaskResult("softmax", 1, 0.0, 0, 0.0013, 0.0013, kept_untuned=True)
UNKNOWN = TaskResult("dense", 3, 1e6, 0, 0.0, 0.0)
WITHOUT_BASELINE = TaskResult("pool", 4, 1e6, 0, 0.0, 0.001)
SPEC = JobSpec(JobKind.ESTIMATE, "squeezenet", Artifact("00", 1), "arm64")


def job(*tasks: TaskResult, **changes: object) -> Job:
    result = JobResult(tasks=tasks)
    return replace(Job("squeezenet-ab2c", SPEC, JobState.DONE, result=result, device_class="rpi4"), **changes)


@pytest.mark.parametrize(
    ("estimated", "line"),
    [
        (job(CONV, SOFTMAX), "squeezenet: 201 ms -> 11.3 ms (17.8x), from the log of 2 of 2 tasks"),
        (job(CONV, UNKNOWN), "squeezenet: 200 ms -> 10.0 ms (20.0x), from the log of 1 of 2 tasks"),
        (job(UNKNOWN), "squeezenet: nothing is known of its 1 task yet; `farm tune` finds out"),
        (
            job(WITHOUT_BASELINE, UNKNOWN),
            "squeezenet: 4.00 ms known for 1 of 2 tasks, no untuned latency to compare with",
        ),
        (
            job(CONV, group="squeezenet-ab2c"),
            "squeezenet on rpi4: 200 ms -> 10.0 ms (20.0x), from the log of 1 of 1 task",
        ),
    ],
)
def test_the_closing_line(estimated: Job, line: str) -> None:
    assert estimate_line(estimated) == line


def rendered(estimated: Job) -> list[str]:
    screen = Console(file=io.StringIO(), width=100)
    print_estimate(screen, estimated)
    return screen.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_table_has_most_time_first_and_what_is_unknown_last() -> None:
    lines = rendered(job(UNKNOWN, WITHOUT_BASELINE, CONV, SOFTMAX))
    assert [line.split()[0] for line in lines[1:6]] == ["fused_conv2d", "pool", "softmax", "dense", "squeezenet"]
    assert lines[1].split()[1:] == ["2", "100", "ms", "5.00", "ms", "20.0x", "200"]
    assert lines[3].split()[-2:] == ["kept", "—"]
    assert lines[4].split()[1:] == ["3", "—", "—", "—", "—"]
    assert "(sum of 2 of 4 tasks)" in lines[5]
    text = " ".join(" ".join(lines[6:]).split())
    assert "1 task was never measured on this class: dense." in text
    assert "1 task without an untuned latency stays out of the sums" in text
    assert "the best known of all 3 add up to 15.3 ms." in text


def test_many_unknown_tasks_are_not_all_named() -> None:
    unknown = [replace(UNKNOWN, name=f"dense{n}") for n in range(7)]
    text = " ".join(" ".join(rendered(job(*unknown))).split())
    assert "7 tasks were never measured on this class: dense0, dense1, dense2, dense3 and 3 more." in text


def test_a_class_that_failed_is_told_after_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    broken = job(state=JobState.FAILED, result=None, error="it cannot be compiled for this target")
    with pytest.raises(FarmError, match="cannot be compiled"):
        print_estimates([job(CONV), broken], as_json=False)
    assert "from the log of 1 of 1 task" in capsys.readouterr().out
