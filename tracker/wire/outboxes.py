"""What waits to be sent to a board or a client: all that has gathered leaves in one message."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from tvm_farm.protos.convert import fill
from tvm_farm.protos.farm.v1 import fleet_pb2, measuring_pb2
from tvm_farm.tracker.domain import Capacity, Measurement, Upgrade
from tvm_farm.tracker.measuring.board import Acknowledge, Cancel, Order
from tvm_farm.tracker.measuring.request import TrialRequest
from tvm_farm.tracker.wire.requests import RequestMessage, with_requests
from tvm_farm.tracker.wire.two_way import Outbox

__all__ = ["BoardOutbox", "ReplyOutbox"]

#: What leaves together is about this large at most: a message has a limit, and one item may come near it alone.
_TOGETHER_BYTES = 1 << 20
#: Acknowledgements wait this long for something else to leave with. An agent that owes nothing but them does not mind.
LINGER_S = 1.0


class BoardOutbox(Outbox[Order]):
    """Orders to a board.

    A trial that is cancelled or acknowledged before its order left is not ordered, so a message can be read as
    "forget these, then measure those" whatever came first.
    """

    def __init__(self) -> None:
        super().__init__()
        self._hurried = False
        self._requests: dict[str, TrialRequest] = {}
        self._cancelled: list[str] = []
        self._acknowledged: list[str] = []
        self._heard = False
        self._upgrade: Upgrade | None = None
        self._lingers = False
        #: Acknowledgements wait until then, by the event loop's clock.
        self._patient_until = 0.0

    def hurry(self) -> None:
        """From now on acknowledgements leave at once: a board that drains waits for the last."""
        self._hurried = True
        self.wake()

    def put(self, order: Order) -> bool:
        if isinstance(order, TrialRequest):
            self._requests[order.trial_id] = order
            return True
        if isinstance(order, Upgrade):
            self._upgrade = order
            return True
        for trial_id in order.trial_ids:
            self._requests.pop(trial_id, None)
        if isinstance(order, Cancel):
            self._cancelled += order.trial_ids
            return True
        assert isinstance(order, Acknowledge)
        if not (self._acknowledged or self._heard):
            self._linger()
        self._acknowledged += order.trial_ids
        self._heard = self._heard or not order.trial_ids
        return self._hurried

    def _linger(self) -> None:
        # A timer for each message that leaves would cost as much as what is in it: this one looks again when it ends.
        loop = asyncio.get_running_loop()
        self._patient_until = loop.time() + LINGER_S
        if not self._lingers:
            self._lingers = True
            loop.call_later(LINGER_S, self._lingered)

    def _lingered(self) -> None:
        self._lingers = False
        if not (self._acknowledged or self._heard):
            return
        loop = asyncio.get_running_loop()
        if (left_s := self._patient_until - loop.time()) <= 0:
            self.wake()
        else:
            self._lingers = True
            loop.call_later(left_s, self._lingered)

    def take(self) -> bytes | None:
        if not (self._requests or self._cancelled or self._acknowledged or self._heard or self._upgrade):
            return None
        message = fleet_pb2.TrackerMessage(
            acknowledged=self._acknowledged, cancelled=self._cancelled, heard=self._heard
        )
        self._acknowledged, self._cancelled, self._heard = [], [], False
        if self._upgrade is not None:
            message.upgrade.SetInParent()  # none is ordered any more: a message without a field of its own
            fill(message.upgrade, self._upgrade)
            self._upgrade = None
        left = _TOGETHER_BYTES
        requests = []
        while self._requests and left > 0:
            payload = self._requests.pop(next(iter(self._requests))).payload
            requests.append(cast(RequestMessage, payload))
            left -= payload.bytes
        return with_requests(message, requests)


class ReplyOutbox(Outbox[Measurement | Capacity]):
    """Answers to a client of Measure. Of several capacities the last one counts."""

    def __init__(self) -> None:
        super().__init__()
        self._measurements: deque[Measurement] = deque()
        self._capacity: Capacity | None = None

    def put(self, item: Measurement | Capacity) -> bool:
        if isinstance(item, Capacity):
            self._capacity = item
        else:
            self._measurements.append(item)
        return True

    def take(self) -> measuring_pb2.MeasureReply | None:
        if not self._measurements and self._capacity is None:
            return None
        reply = measuring_pb2.MeasureReply()
        if self._capacity is not None:
            reply.capacity.SetInParent()
            fill(reply.capacity, self._capacity)
            self._capacity = None
        left = _TOGETHER_BYTES
        measurements = reply.measurements
        while self._measurements:
            measurement = self._measurements[0]
            left -= 1024 + sum([len(output.data) for output in measurement.outputs])
            if left < 0 and measurements:
                break
            fill(measurements.add(), self._measurements.popleft())
        return reply
