"""The client's end of a Measure stream: what gathers leaves in one message."""

from __future__ import annotations

import queue
from collections.abc import Iterator

from tvm_farm.protos.farm.v1 import measuring_pb2

__all__ = ["MeasureCalls"]

#: What leaves together is about this large at most: a message has a limit, and one trial may come near it alone.
_TOGETHER_BYTES = 256 << 10


class MeasureCalls:
    """An iterable for the stub: what was ``put`` while gRPC was sending comes as one message. OpenMeasure stays alone.

    ``put`` is for any thread. What was put is not changed.
    """

    def __init__(self, opening: measuring_pb2.OpenMeasure) -> None:
        self._opening = opening
        self._calls: queue.SimpleQueue[measuring_pb2.MeasureCall | None] = queue.SimpleQueue()

    def put(self, call: measuring_pb2.MeasureCall | None) -> None:
        """None ends the stream after what was put before."""
        self._calls.put(call)

    def __iter__(self) -> Iterator[measuring_pb2.MeasureCall]:
        yield measuring_pb2.MeasureCall(open=self._opening)
        together = measuring_pb2.MeasureCall()
        size = 0  # of it; protobuf encodes a message to know its size
        while True:
            if size and self._calls.empty():
                yield together
                together, size = measuring_pb2.MeasureCall(), 0
            call = self._calls.get()
            more = call.ByteSize() if call else 0
            full = call is None or size + more > _TOGETHER_BYTES
            # The tracker reads cancellations first: none may stand with a trial that came before it.
            full = full or bool(call and call.cancelled and (together.trials or together.failed_builds))
            if full and size:
                yield together
                together, size = measuring_pb2.MeasureCall(), 0
            if call is None:
                return
            together.MergeFrom(call)
            size += more
