"""The steps of a trial are listed once: what carries or keeps them has each of them."""

from __future__ import annotations

from dataclasses import fields

from tvm_farm.protos.farm.v1 import measurement_pb2, measuring_pb2
from tvm_farm.protos.measurement import BOARD_STEPS, Preparation, Timeline

STEPS = [step.name for step in fields(Timeline)]


def test_the_message_has_the_same_steps() -> None:
    assert sorted(STEPS) == sorted(measurement_pb2.Timeline.DESCRIPTOR.fields_by_name)


def test_a_records_context_begins_with_those_of_the_preparation() -> None:
    prepared = {step.name for step in fields(Preparation)}
    assert {name for name in measuring_pb2.RecordContext.DESCRIPTOR.fields_by_name if name in STEPS} == prepared
    assert STEPS[: len(prepared)] == [step.name for step in fields(Preparation)]
    assert set(BOARD_STEPS) <= set(STEPS) - prepared


def test_what_goes_on_from_a_preparation_has_its_steps_and_no_others() -> None:
    whole = Timeline(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert Timeline(**whole.prepared()) == Timeline(1.0, 2.0, 3.0, 4.0, 5.0)
    assert Preparation(**whole.prepared()) == Preparation(1.0, 2.0, 3.0, 4.0, 5.0)
