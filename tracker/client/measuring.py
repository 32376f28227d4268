"""A Farm's boards at work for a program: kernels and models measured now."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import measurement_pb2, measuring_pb2, measuring_pb2_grpc
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.client.measure_calls import MeasureCalls
from tvm_farm.tracker.client.measure_stream import MeasureStream, StreamRefused
from tvm_farm.tracker.domain import Capacity, Measurement, MeasureRequest, OpenMeasure

__all__ = ["Measuring"]


class Measuring:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._stub = measuring_pb2_grpc.MeasuringStub(link.channel)

    def open(
        self, on_event: Callable[[Measurement | Capacity | StreamRefused], None], opening: OpenMeasure
    ) -> MeasureStream:
        """A stream that outlives restarts of the tracker. It ends with the Farm where nobody closes it before."""
        return self._link.held(MeasureStream(self._stub, on_event, opening))

    def measure(
        self,
        requests: Iterable[MeasureRequest],
        *,
        client: str,
        pool: str,
        device_class: str = "",
        whole_models: bool = False,
        user: str = "",
        priority: int = 0,
    ) -> Iterator[Measurement | Capacity]:
        """Measure ``requests`` on devices of ``pool``, unrecorded: what the stream answers, as it comes.

        ``user`` may use the devices under that user's lease, and shares the others' time at ``priority``.

        Ends when every request is answered. Leaving the iterator early gives up the rest.
        """
        opening = OpenMeasure(client, "", pool, device_class, whole_models, user=user, priority=priority)
        return self._link.held(self._answers(list(requests), opening))

    def _answers(
        self, requests: list[MeasureRequest], opening: OpenMeasure
    ) -> Generator[Measurement | Capacity, None, None]:
        pending = MeasureCalls(to_message(measuring_pb2.OpenMeasure, opening))
        unanswered = {request.trial_id for request in requests}
        with self._link.errors():
            # The tracker ends what it did not answer when we stop sending: None comes last, after the answers.
            call = self._stub.Measure(iter(pending))
            try:
                for request in requests:
                    message = to_message(measurement_pb2.MeasureRequest, request)
                    pending.put(measuring_pb2.MeasureCall(trials=[measuring_pb2.Trial(request=message)]))
                for reply in call:
                    if reply.HasField("capacity"):
                        yield from_message(Capacity, reply.capacity)
                    for message in reply.measurements:
                        measurement = from_message(Measurement, message)
                        unanswered.discard(measurement.trial_id)
                        yield measurement
                    if not unanswered:
                        break
            finally:
                pending.put(None)
                call.cancel()
