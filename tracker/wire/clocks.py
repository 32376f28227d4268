"""A board's times become the tracker's: no board's clock is believed, only how long ago it says a thing was."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from tvm_farm.protos.farm.v1 import device_pb2, fleet_pb2
from tvm_farm.protos.measurement import BOARD_STEPS

__all__ = ["BoardClock"]

#: Quartz is off by 20 to 50 parts in a million, and more in the cold.
_DRIFT = 1e-4


class BoardClock:
    """How far the clock of one agent is from this one, for as long as its stream lasts.

    The message that came fastest tells it best: an estimate is late by as long as that one was on its way. Only
    monotonic clocks are compared, so neither side's may be set meanwhile; that they run unlike is allowed for.
    """

    def __init__(self) -> None:
        self._offset_s, self._at_s = math.inf, 0.0

    def place(self, message: fleet_pb2.AgentMessage) -> None:
        """Shift every time in ``message``, which arrived now, from the clock that its agent sent it by to this one's.

        An agent that is older says nothing of its clock: its times stay.
        """
        if not 0 < message.sent_unix_s < math.inf:
            return
        now_s = time.monotonic()
        allowed_s = self._offset_s + _DRIFT * (now_s - self._at_s)
        self._offset_s, self._at_s = min(now_s - message.sent_unix_s, allowed_s), now_s
        shift_s = self._offset_s + time.time() - now_s
        for telemetry in _telemetry(message):
            telemetry.at_unix_s += shift_s
        for measurement in message.measurements:
            timeline = measurement.timeline
            for name in BOARD_STEPS:
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
