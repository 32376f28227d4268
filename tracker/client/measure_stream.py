"""A session's stream of trials to the tracker: it survives restarts of the tracker and loses nothing.

What was not answered when the connection broke is sent again on the next one. The tracker answers
a trial whose record it has from the log, so nothing is measured or counted twice.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc

from tvm_farm.protos.convert import from_message, to_message
from tvm_farm.protos.farm.v1 import measuring_pb2, measuring_pb2_grpc
from tvm_farm.tracker.client.measure_calls import MeasureCalls
from tvm_farm.tracker.domain import Capacity, FailedBuild, Measurement, OpenMeasure, Trial

__all__ = ["MeasureStream", "StreamRefused"]

log = logging.getLogger(__name__)

_MAX_BACKOFF_S = 5.0
#: The tracker will say the same again: the request is at fault, not the connection.
_FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}


@dataclass(frozen=True)
class StreamRefused:
    """The tracker will not serve this stream: ``reason`` in one sentence. No event follows."""

    reason: str


class MeasureStream:
    """Trials in by ``measure`` and ``record``, events out through ``on_event``.

    ``on_event`` is called from the stream's own thread with a Measurement, a Capacity or, last, a
    StreamRefused. Measurements come in any order, each trial once.
    """

    def __init__(
        self,
        stub: measuring_pb2_grpc.MeasuringStub,
        on_event: Callable[[Measurement | Capacity | StreamRefused], None],
        opening: OpenMeasure,
    ) -> None:
        self._stub = stub
        self._on_event = on_event
        self._opening = to_message(measuring_pb2.OpenMeasure, opening)
        # Whoever drops a trial may do so while garbage is collected, anywhere.
        self._lock = threading.RLock()
        self._unanswered: dict[str, Any] = {}
        self._calls = MeasureCalls(self._opening)
        self._closed = threading.Event()
        self._stream: Any = None
        self._thread = threading.Thread(target=self._run, name="measure-stream", daemon=True)
        self._thread.start()

    def measure(self, trial: Trial) -> None:
        """Ask for a measurement."""
        message = to_message(measuring_pb2.Trial, trial)
        self._send(trial.request.trial_id, measuring_pb2.MeasureCall(trials=[message]))

    def record(self, failed: FailedBuild) -> None:
        """Record a trial that never became a library. It is answered like any other."""
        message = to_message(measuring_pb2.FailedBuild, failed)
        self._send(failed.trial_id, measuring_pb2.MeasureCall(failed_builds=[message]))

    def cancel(self, trial_ids: Iterable[str]) -> None:
        """Give up those that are not answered yet: no event comes of them any more."""
        with self._lock:
            given_up = [trial_id for trial_id in trial_ids if self._unanswered.pop(trial_id, None) is not None]
            if given_up:
                self._calls.put(measuring_pb2.MeasureCall(cancelled=given_up))

    def close(self) -> None:
        """End the stream: the tracker drops what it did not answer."""
        self._closed.set()
        self._calls.put(None)
        stream = self._stream
        if stream is not None:
            stream.cancel()
        self._thread.join(timeout=10)

    def _send(self, trial_id: str, call: Any) -> None:
        with self._lock:
            self._unanswered[trial_id] = call
            self._calls.put(call)

    def _run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            with self._lock:
                self._calls = MeasureCalls(self._opening)
                for call in self._unanswered.values():
                    self._calls.put(call)
                calls = self._calls
            try:
                self._stream = self._stub.Measure(iter(calls))
                for reply in self._stream:
                    failures = 0
                    self._take(reply)
            except grpc.RpcError as error:
                if self._closed.is_set():
                    return
                code, details = error.code(), error.details() or ""
                if code in _FINAL:
                    self._on_event(StreamRefused(details or code.name))
                    return
                log.warning(
                    "measure stream broke (%s: %s); %d trials go again", code.name, details, len(self._unanswered)
                )
            except Exception as error:
                log.exception("the measure stream cannot go on")
                self._on_event(StreamRefused(f"an answer could not be read ({type(error).__name__}: {error})"))
                return
            finally:
                calls.put(None)
            self._on_event(Capacity(0, 0))
            failures += 1
            self._closed.wait(min(_MAX_BACKOFF_S, 0.2 * 2 ** min(failures, 8)) * random.uniform(0.5, 1.0))

    def _take(self, reply: Any) -> None:
        if reply.HasField("capacity"):
            self._on_event(from_message(Capacity, reply.capacity))
        for measurement in reply.measurements:
            with self._lock:
                awaited = self._unanswered.pop(measurement.trial_id, None)
            if awaited is not None:
                self._on_event(from_message(Measurement, measurement))
