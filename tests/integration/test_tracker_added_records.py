"""Records that a program hands in of what the farm measured for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.measure_client import MeasureClient
from tests.support.stand_in_agent import StandInAgent
from tests.support.tracker_process import TrackerProcess
from tvm_farm.protos.convert import from_message
from tvm_farm.protos.device import RunnerMode
from tvm_farm.protos.version import __version__
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.domain import (
    Measurement,
    Outcome,
    OutputTensor,
    Record,
    RecordFilter,
    Timeline,
    TimingPlan,
    Workload,
)

MATMUL = Workload("w-matmul", "matmul", "{}", 2e6)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackerProcess]:
    process = TrackerProcess(tmp_path_factory.mktemp("tracker") / "state")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def measured(tracker: TrackerProcess) -> Measurement:
    """What a board answered, unrecorded."""
    agent, stream = StandInAgent(tracker.address, "board"), MeasureClient(tracker.address)
    try:
        stream.trial("t1")
        return from_message(Measurement, stream.wait_for("t1")[0])
    finally:
        stream.close()
        agent.cut()


@pytest.fixture
def client(tracker: TrackerProcess) -> Iterator[Farm]:
    with Farm(tracker.address) as made:
        yield made


def record(measurement: Measurement, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "job_id": "",
        "task_id": "",
        "workload": MATMUL.key,
        "workload_name": MATMUL.name,
        "target": '{"kind":"llvm"}',
        "engine": "metaschedule",
        "trace": "[[],[]]",
        "plan": TimingPlan(repeat=3),
        "versions": {"tvm": "0.27", "farm": "of the script", "agent": "of the script"},
        "user": "ada",
        **changes,
    }
    return Record(trial_id=measurement.trial_id, measurement=measurement, **values)


def test_a_measurement_enters_the_log_once_with_its_workload(client: Farm, measured: Measurement) -> None:
    assert client.log.find_workload(MATMUL.key) is None
    outputs = (OutputTensor((1,), "float32", b"1234"),)
    for _ in range(2):
        client.log.add([record(replace(measured, outputs=outputs))], [MATMUL])
    assert client.log.find_workload(MATMUL.key) == MATMUL
    # Where the farm knows the workload, it need not come again.
    client.log.add([record(replace(measured, trial_id="t2"), trace="[[1],[]]")])

    kept = {r.trial_id: r for r in client.log.records(RecordFilter(workload=MATMUL.key))}
    assert sorted(kept) == ["t1", "t2"]
    one = kept["t1"]
    assert (one.user, one.engine, one.trace, one.job_id) == ("ada", "metaschedule", "[[],[]]", "")
    assert one.measurement.run_secs == (0.001, 0.001, 0.001)
    assert (one.measurement.device_name, one.measurement.device_class) == ("board", measured.device_class)
    assert (one.measurement.before, one.measurement.outputs) == (measured.before, ())
    # What the tracker knows better is its own word.
    assert one.runner_mode is RunnerMode.FULL
    assert one.versions == {"tvm": "0.27", "farm": __version__, "agent": "0.1.0"}
    assert one.measurement.timeline.stored_s >= one.measurement.timeline.answered_s > 0
    best = client.log.best([MATMUL.key], device_class=measured.device_class)
    assert [r.trial_id for r in best] == ["t1"]


def test_a_failed_build_has_a_class_and_no_device(client: Farm, measured: Measurement) -> None:
    failed = Measurement("b1", Outcome.BUILD_ERROR, "no such intrinsic", device_class=measured.device_class)
    client.log.add([record(failed, workload="w-failed")], [Workload("w-failed", "matmul", "{}")])
    [kept] = client.log.records(RecordFilter(workload="w-failed"))
    assert (kept.measurement.outcome, kept.measurement.detail) == (Outcome.BUILD_ERROR, "no such intrinsic")
    assert (kept.measurement.device_id, kept.runner_mode) == ("", None)


Change = Callable[[Record], Record]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: replace(r, trial_id="other"), "The record of trial 'other' holds the measurement of trial 't9'."),
        (lambda r: replace(r, job_id="net-1"), "names a job: those are recorded when they are measured"),
        (lambda r: replace(r, trace=""), "lacks a trace, workload, target or engine: it is no candidate's"),
        (lambda r: replace(r, engine="untuned"), "it is no candidate's"),
        (lambda r: replace(r, measurement=replace(r.measurement, outcome=Outcome.CANCELLED)), "it was not measured"),
        (lambda r: replace(r, measurement=replace(r.measurement, device_class="")), "names no class of device"),
        (
            lambda r: replace(r, measurement=replace(r.measurement, device_id="mine")),
            "there is no device 'mine', so it was not measured here",
        ),
        (
            lambda r: replace(r, measurement=replace(r.measurement, device_id="")),
            "says 'ok' and names no device that it happened on",
        ),
        (
            lambda r: replace(r, measurement=replace(r.measurement, timeline=Timeline(built_s=math.nan))),
            "Timeline.built_s is no number",
        ),
        (lambda r: replace(r, workload="w-9"), "A record is of the workload 'w-9', which is not known here: send it"),
    ],
)
def test_what_no_board_of_the_farm_measured_is_refused(
    client: Farm, measured: Measurement, change: Change, said: str
) -> None:
    before = len(list(client.log.records(RecordFilter())))
    sound = record(replace(measured, trial_id="sound"), workload="w-sound")
    with pytest.raises(BadInput) as refused:
        client.log.add([sound, change(record(replace(measured, trial_id="t9")))], [Workload("w-sound", "s", "{}")])
    assert said in refused.value.message
    # All of them or none.
    assert len(list(client.log.records(RecordFilter()))) == before
