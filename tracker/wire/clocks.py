"""A board's times become the tracker's: no board's clock is believed, only how long ago it says a thing was."""

from __future__ import annotations

import time
from collections.abc import Iterator

from protos.farm.v1 import device_pb2, fleet_pb2

__all__ = ["place_times"]


def place_times(message: fleet_pb2.AgentMessage) -> None:
    """Shift every time in ``message``, which arrived now, from the clock that its agent sent it by to this one's.

    They are late by as long as it was on its way. An agent that is older says nothing of its clock: its stay.
    """
    if not message.sent_unix_s:
        return
    shift_s = time.time() - message.sent_unix_s
    for telemetry in _telemetry(message):
        telemetry.at_unix_s += shift_s
    for measurement in message.measurements:
        timeline = measurement.timeline
        for name in ("received_s", "started_s", "finished_s"):
            if at := getattr(timeline, name):
                setattr(timeline, name, at + shift_s)


def _telemetry(message: fleet_pb2.AgentMessage) -> Iterator[device_pb2.Telemetry]:
    if message.join.HasField("telemetry"):
        yield message.join.telemetry
    if message.heartbeat.HasField("telemetry"):
        yield message.heartbeat.telemetry
    for measurement in message.measurements:
        for name in ("before", "after"):
            if measurement.HasField(name):
                yield getattr(measurement, name)
