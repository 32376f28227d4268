"""What the log says of a model, to programs: sums over what is known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tvm_farm.tracker.documents.estimate import Sums, estimate_document, sums
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
    ("tasks", "expected"),
    [
        ((CONV, SOFTMAX), Sums(0.2013, 0.0113, 2, 0.0113, 2, ())),
        ((CONV, UNKNOWN), Sums(0.2, 0.01, 1, 0.01, 1, ("dense",))),
        ((CONV, WITHOUT_BASELINE), Sums(0.2, 0.01, 1, 0.014, 2, ())),
        ((UNKNOWN,), Sums(0, 0, 0, 0, 0, ("dense",))),
        ((), Sums(0, 0, 0, 0, 0, ())),
    ],
)
def test_sums_compare_what_can_be_compared(tasks: tuple[TaskResult, ...], expected: Sums) -> None:
    told = sums(tasks)
    assert (told.compared, told.known, told.unknown) == (expected.compared, expected.known, expected.unknown)
    figures = (told.untuned_s, told.best_s, told.known_s)
    assert figures == pytest.approx((expected.untuned_s, expected.best_s, expected.known_s))


def test_it_has_what_is_unknown_as_null() -> None:
    told = json.loads(json.dumps(estimate_document([job(CONV, UNKNOWN)])))
    assert (told["model"], told["pool"]) == ("squeezenet", "arm64")
    [one] = told["classes"]
    assert (one["device_class"], one["untuned_s"], one["best_s"]) == ("rpi4", 0.2, 0.01)
    assert (one["compared"], one["known"]) == (1, 1)
    assert [(task["name"], task["untuned_s"], task["best_s"]) for task in one["tasks"]] == [
        ("fused_conv2d", 0.1, 0.005),
        ("dense", None, None),
    ]
