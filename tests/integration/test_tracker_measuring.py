"""Trials through a real tracker process to agents that speak real gRPC."""

from __future__ import annotations

from pathlib import Path

import pytest

from protos.farm.v1 import record_pb2
from tests.support.measure_client import MeasureClient, context
from tests.support.stand_in_agent import StandInAgent
from tests.support.tracker_process import TrackerProcess, wait_until


@pytest.fixture
def tracker(tmp_path: Path):
    process = TrackerProcess(tmp_path / "state")
    yield process
    process.stop()


def test_three_agents_measure_and_the_records_say_which(tracker: TrackerProcess) -> None:
    agents = [StandInAgent(tracker.address, f"board-{n}") for n in range(3)]
    client = MeasureClient(tracker.address)
    trials = [f"t{n}" for n in range(30)]
    for trial in trials:
        client.trial(trial, context())
    client.wait_for(*trials)
    records = list(tracker.control.QueryRecords(record_pb2.RecordFilter()))
    assert sorted(r.trial_id for r in records) == sorted(trials)
    by_device = {r.measurement.device_name for r in records}
    assert by_device == {"board-0", "board-1", "board-2"}
    for agent, name in zip(agents, sorted(by_device), strict=True):
        mine = {r.trial_id for r in records if r.measurement.device_name == name}
        assert mine == set(agent.received)
        wait_until(lambda agent=agent: len(agent.acknowledged) == len(agent.received), "acknowledgement of all")
    timeline = records[0].measurement.timeline
    steps = [timeline.proposed_s, timeline.built_s, timeline.queued_s, timeline.sent_s, timeline.stored_s]
    assert steps == sorted(steps)
    assert 0 < timeline.started_s < timeline.finished_s
    client.close()
    for agent in agents:
        agent.cut()
