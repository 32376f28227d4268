"""The latency of a model: what a device measured, else the sum over its tasks."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import job_pb2
from tvm_farm.tracker.domain import JobResult, Latency, TaskResult

TASKS = (TaskResult("conv", 3, 0.0, 1, 0.25, 0.125), TaskResult("softmax", 1, 0.0, 1, 0.5, 0.5))
WHOLE = JobResult(tasks=TASKS, untuned_s=2.0, tuned_s=1.0, outputs_equal=True, device_name="pi4")
SUMMED = Latency(1.25, 0.875, False)  # 3 x 0.25 + 0.5 and 3 x 0.125 + 0.5


def test_a_device_that_ran_the_model_measured_it() -> None:
    assert WHOLE.latency == Latency(2.0, 1.0, True)
    assert WHOLE.summed_latency == SUMMED


@pytest.mark.parametrize("lacks", [{"device_name": ""}, {"untuned_s": 0.0}, {"tuned_s": 0.0}])
def test_without_a_whole_measurement_it_is_summed_over_tasks(lacks: dict[str, object]) -> None:
    assert replace(WHOLE, **lacks).latency == SUMMED  # type: ignore[arg-type]
    assert JobResult().latency == Latency(0, 0, False)


@pytest.mark.parametrize(
    ("changes", "differ"),
    [
        ({}, False),
        ({"outputs_equal": False}, True),
        ({"outputs_equal": False, "device_name": ""}, False),  # nobody compared them
        ({"outputs_equal": False, "device_name": "", "kernels_compared": 2}, True),
    ],
)
def test_outputs_differ_where_they_were_compared(changes: dict[str, object], differ: bool) -> None:
    assert replace(WHOLE, **changes).outputs_differ is differ  # type: ignore[arg-type]


def test_what_is_worked_out_is_not_sent() -> None:
    assert "latency" not in {field.name for field in fields(JobResult)}
    assert "latency" not in {field.name for field, _ in to_message(job_pb2.JobResult, WHOLE).ListFields()}
