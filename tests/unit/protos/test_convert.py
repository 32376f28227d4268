"""Enums across the wire: what is not set, or not known, is a value only where a field may be without one."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from tvm_farm.protos.convert import UnknownValue, from_message, to_message
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.protos.farm.v1 import device_pb2, job_pb2, measurement_pb2, record_pb2
from tvm_farm.protos.measurement import Measurement, MeasureRequest, Outcome, Program
from tvm_farm.tracker.domain import Device, Job, JobSpec, JobTimeline, RecordFilter, RecordOrder

_PROGRAM = {"program": {"kind": 0}}
REQUIRED: list[tuple[type, type[Message], dict[str, Any], str]] = [
    (RunnerInfo, device_pb2.RunnerInfo, {"mode": 0}, "RunnerInfo.mode"),
    (Program, measurement_pb2.Program, {"kind": 0}, "Program.kind"),
    (MeasureRequest, measurement_pb2.MeasureRequest, _PROGRAM, "Program.kind"),
    (MeasureRequest, measurement_pb2.MeasureRequest, {}, "Program.kind"),
    (Measurement, measurement_pb2.Measurement, {"outcome": 0}, "Measurement.outcome"),
    (Device, device_pb2.Device, {"runner": {"mode": 1}, "state": 0}, "Device.state"),
    (JobSpec, job_pb2.JobSpec, {"kind": 0}, "JobSpec.kind"),
    (Job, job_pb2.Job, {"spec": {"kind": 1}, "state": 0}, "Job.state"),
    (JobTimeline, job_pb2.JobTimeline, {"steps": [{"step": 0}]}, "StepTime.step"),
    (JobTimeline, job_pb2.JobTimeline, {"outcomes": [{"outcome": 0}]}, "OutcomeCount.outcome"),
]


@pytest.mark.parametrize(("value_type", "message_type", "fields", "told"), REQUIRED)
def test_an_enum_that_has_to_be_set_and_is_not_is_refused(
    value_type: type, message_type: type[Message], fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=f"{told} is not set"):
        from_message(value_type, message_type(**fields))


@pytest.mark.parametrize("value_type", [Measurement, RecordFilter])
def test_a_number_of_a_newer_version_is_refused_whether_it_has_to_be_set_or_not(value_type: type) -> None:
    message = {Measurement: measurement_pb2.Measurement, RecordFilter: record_pb2.RecordFilter}[value_type]
    with pytest.raises(UnknownValue, match="outcome: this version does not know the value 99"):
        from_message(value_type, message(outcome=99))


def test_an_enum_that_may_be_left_out_is_none() -> None:
    read = from_message(RecordFilter, record_pb2.RecordFilter())
    assert (read.outcome, read.order) == (None, None)
    assert to_message(record_pb2.RecordFilter, RecordFilter()) == record_pb2.RecordFilter()


@pytest.mark.parametrize("outcome", Outcome)
def test_members_come_back(outcome: Outcome) -> None:
    message = to_message(measurement_pb2.Measurement, Measurement("t", outcome))
    assert from_message(Measurement, message) == Measurement("t", outcome)


def test_each_of_the_other_enums_comes_back() -> None:
    for mode in RunnerMode:
        assert from_message(RunnerInfo, to_message(device_pb2.RunnerInfo, RunnerInfo(mode))) == RunnerInfo(mode)
    for order in RecordOrder:
        asked = RecordFilter(order=order)
        assert from_message(RecordFilter, to_message(record_pb2.RecordFilter, asked)) == asked
