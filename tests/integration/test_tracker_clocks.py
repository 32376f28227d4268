"""Boards whose clocks are wrong, at a real tracker: their times become its own."""

from __future__ import annotations

import re
import time
from pathlib import Path

import grpc
import pytest

from tests.support.farm_command import farm as command
from tests.support.measure_client import MeasureClient
from tests.support.stand_in_agent import StandInAgent, fast
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.convert import to_message
from tvm_farm.protos.device import Telemetry
from tvm_farm.protos.farm.v1 import device_pb2, fleet_pb2, fleet_pb2_grpc, measurement_pb2

MONTHS_S = 214 * 86400.0


@pytest.mark.parametrize("wrong_s", [-MONTHS_S, MONTHS_S, -1.7e9], ids=["behind", "ahead", "1970"])
def test_a_boards_times_become_the_trackers(tmp_path: Path, wrong_s: float) -> None:
    """Of a board without a battery for its clock: measured, heard and felt at the tracker's time."""
    tracker = TrackerProcess(tmp_path / "state")
    try:

        def measured(request: measurement_pb2.MeasureRequest) -> None:
            answer, began_s = fast(request), time.time() + wrong_s
            time.sleep(0.002)
            ended_s = time.time() + wrong_s
            answer.timeline.MergeFrom(
                measurement_pb2.Timeline(received_s=began_s, started_s=began_s, finished_s=ended_s)
            )
            for reading in (answer.before, answer.after):
                reading.CopyFrom(felt())
            agent.say(sent_unix_s=time.time() + wrong_s, measurements=[answer])

        def felt() -> device_pb2.Telemetry:
            return to_message(device_pb2.Telemetry, Telemetry(time.time() + wrong_s, 50.0))

        agent = StandInAgent(tracker.address, "pi", run=measured, telemetry=Telemetry(time.time(), 41.0))
        agent.say(sent_unix_s=time.time() + wrong_s, heartbeat=fleet_pb2.Heartbeat(telemetry=felt()))
        wait_until(lambda: agent.heartbeats_answered, "answer to the heartbeat")
        [device] = tracker.devices()
        assert device.telemetry.at_unix_s == pytest.approx(time.time(), abs=30)
        shown = command("--tracker", tracker.address, "devices", "show", "pi").stdout
        assert re.search(r"telemetry +50\S* °C.*(now|\ds ago)", shown), shown
        client = MeasureClient(tracker.address)
        client.trial("t")
        [answered] = client.wait_for("t")
        client.close()
        line = answered.timeline
        times = [line.sent_s, line.received_s, line.started_s, line.finished_s, line.answered_s]
        assert times == sorted(times)
        assert line.finished_s - line.started_s >= 0.001
        assert answered.before.at_unix_s == pytest.approx(time.time(), abs=30)
        agent.cut()
    finally:
        tracker.stop()


def test_a_report_by_another_clock_leaves_the_boards_times_alone(tmp_path: Path) -> None:
    """As of a clone, or of the agent's process before: an hour ahead, it would shift all that the board says later."""
    tracker = TrackerProcess(tmp_path / "state")
    try:
        agent = StandInAgent(tracker.address, "pi")
        agent.say(sent_unix_s=time.time(), heartbeat=fleet_pb2.Heartbeat())
        wait_until(lambda: agent.heartbeats_answered, "answer to the heartbeat")
        ahead = fleet_pb2.AgentMessage(sent_unix_s=time.time() + 3600.0)
        with grpc.insecure_channel(tracker.address) as channel:
            report = fleet_pb2.ReportRequest(device_id="pi", message=ahead)
            fleet_pb2_grpc.FleetStub(channel).Report(report, timeout=10)
        telemetry = to_message(device_pb2.Telemetry, Telemetry(time.time(), 50.0))
        agent.say(sent_unix_s=time.time(), heartbeat=fleet_pb2.Heartbeat(telemetry=telemetry))
        wait_until(lambda: tracker.devices()[0].telemetry.temperature_c == 50.0, "telemetry")
        assert tracker.devices()[0].telemetry.at_unix_s == pytest.approx(time.time(), abs=30)
        agent.cut()
    finally:
        tracker.stop()
