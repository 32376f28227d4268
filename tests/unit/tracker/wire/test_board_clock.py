"""A board's times in the tracker's, as a table: when each message arrived, when it was sent, and what that makes."""

from __future__ import annotations

import time

import pytest

from tvm_farm.protos.farm.v1 import device_pb2, fleet_pb2, measurement_pb2
from tvm_farm.tracker.wire.clocks import BoardClock

#: The tracker's monotonic clock begins at 1,000 s, which is 0 s of its unix time and 50 s of the board's.
BOARD_S, DAY_S = 50.0, 86400.0


@pytest.mark.parametrize(
    ("messages", "placed_s"),
    [
        pytest.param([(0.5, 0.0)], 0.5, id="late by its way"),
        pytest.param([(0.5, 0.0), (3.001, 3.0), (9.0, 7.0)], 7.001, id="the fastest tells best"),
        pytest.param([(0.001, 0.0), (DAY_S, DAY_S - 3.0)], DAY_S, id="a slow board clock, after a day"),
        pytest.param([(0.001, 0.0), (DAY_S, DAY_S + 3.0)], DAY_S, id="a fast one"),
        pytest.param([(0.5, 0.0), (9.0, float("nan"))], BOARD_S + 7.0, id="no number: as it is"),
    ],
)
def test_where_a_time_of_the_last_message_is_placed(
    monkeypatch: pytest.MonkeyPatch, messages: list[tuple[float, float]], placed_s: float
) -> None:
    clock, now = BoardClock(), {"s": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + now["s"])
    monkeypatch.setattr(time, "time", lambda: now["s"])
    for arrived_s, sent_s in messages:
        now["s"] = arrived_s
        at_s = BOARD_S + (7.0 if sent_s != sent_s else sent_s)
        message = fleet_pb2.AgentMessage(
            sent_unix_s=BOARD_S + sent_s,
            heartbeat=fleet_pb2.Heartbeat(telemetry=device_pb2.Telemetry(at_unix_s=at_s)),
            measurements=[measurement_pb2.Measurement(timeline=measurement_pb2.Timeline(finished_s=at_s))],
        )
        clock.place(message)
    timeline = message.measurements[0].timeline
    assert (message.heartbeat.telemetry.at_unix_s, timeline.finished_s) == pytest.approx((placed_s, placed_s), abs=1e-3)
    assert timeline.started_s == 0.0
