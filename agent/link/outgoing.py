"""What an agent has to say on its stream, gathered into few messages."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from tvm_farm.agent.clock import steady_unix_s
from tvm_farm.agent.session.messages import Draining, FromAgent, GiveBack, Heartbeat, Started
from tvm_farm.protos.convert import to_message
from tvm_farm.protos.farm.v1 import device_pb2, fleet_pb2, measurement_pb2
from tvm_farm.protos.measurement import Measurement
from tvm_farm.protos.upgrade import Upgrade

__all__ = ["Outgoing", "add_to", "outputs_bytes"]

#: The size above which a message takes no further measurement: a message has a limit, and outputs may come near it
#: alone.
_MESSAGE_BYTES = 1 << 20
#: How long a Started and a Heartbeat wait for something else to leave with. Most trials are over by then, and both
#: leave with their measurement.
_LINGER_S = 0.5
#: How long a patient message waits for others, and for how many.
_GATHER_S, _GATHERED = 0.03, 4


class Outgoing:
    """The queue of one stream. What gathers while a message is on its way leaves in the next.

    Started and Heartbeat wait for something else to leave with; the tracker wants Started for trials that take their
    time.
    """

    def __init__(self) -> None:
        self._items: deque[FromAgent | None] = deque()
        self._some = asyncio.Event()
        #: Items that wait for others.
        self._patient = 0
        self._gathering: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None

    def put(self, item: FromAgent | None, patient: bool = False) -> None:
        """Queue ``item``; None ends the stream after what was put before. A ``patient`` item may wait for others."""
        self._items.append(item)
        self._patient += patient
        if isinstance(item, (Started, Heartbeat)):
            if self._lingering is None:
                self._lingering = asyncio.get_running_loop().call_later(_LINGER_S, self._some.set)
        elif not patient or self._patient >= _GATHERED:
            self._some.set()
        elif self._patient == 1:
            self._gathering = asyncio.get_running_loop().call_later(_GATHER_S, self._some.set)

    def end(self) -> None:
        """The stream is gone: drop what waits. Without an end gRPC's task that asks for messages waits for ever."""
        self._items.clear()
        self.put(None)

    async def messages(self) -> AsyncIterator[fleet_pb2.AgentMessage]:
        """The messages as they leave, until the end that was put."""
        while True:
            await self._some.wait()
            message = fleet_pb2.AgentMessage()
            self._patient = 0
            for timer in (self._gathering, self._lingering):
                if timer is not None:
                    timer.cancel()
            # What is put from now on waits its own time, not the rest of another's.
            self._lingering = None
            while self._items and add_to(message, self._items[0]):
                self._items.popleft()
            if message.ListFields():
                message.sent_unix_s = steady_unix_s()
                yield message
            elif self._items:  # nothing fits into an empty message but the end
                return
            else:
                self._some.clear()


def add_to(message: fleet_pb2.AgentMessage, item: FromAgent | None) -> bool:
    """Put ``item`` into ``message``. False where the item belongs into a later one."""
    if item is None or message.HasField("join"):
        return False
    if isinstance(item, Measurement):
        outputs = outputs_bytes(item)
        if message.measurements and (outputs or message.ByteSize() > _MESSAGE_BYTES):
            return False
        message.measurements.append(to_message(measurement_pb2.Measurement, item))
    elif isinstance(item, Started):
        message.started.append(item.trial_id)
    elif isinstance(item, Draining):
        message.draining = True
    elif isinstance(item, GiveBack):
        message.given_back.append(to_message(fleet_pb2.GiveBack, item))
    elif isinstance(item, Heartbeat):
        if message.HasField("heartbeat"):
            # Each reading tells what happened since the one before.
            return False
        message.heartbeat.SetInParent()
        message.heartbeat.CopyFrom(to_message(fleet_pb2.Heartbeat, item))
    elif isinstance(item, Upgrade):  # the last word on how far it is counts
        message.upgrade.CopyFrom(to_message(device_pb2.Upgrade, item))
    else:
        message.join.CopyFrom(to_message(fleet_pb2.Join, item))
    return True


def outputs_bytes(measurement: Measurement) -> int:
    """The size of a measurement's outputs."""
    return sum(len(output.data) for output in measurement.outputs)
