"""Trials of a script on their way to boards and back."""

from __future__ import annotations

import logging
import threading
import time

from tvm_farm.tracker.client.errors import FarmError
from tvm_farm.tracker.client.measure_stream import StreamRefused
from tvm_farm.tracker.client.measuring import Measuring
from tvm_farm.tracker.domain import Capacity, Measurement, MeasureRequest, OpenMeasure, Trial

__all__ = ["Trials"]

log = logging.getLogger(__name__)

#: A board that restarts its agent is away for a moment; longer, and a person wonders.
_PATIENCE_S = 5.0


class Trials:
    """Many at once on one stream; the tracker gives them to as many boards as there are. For any thread.

    A tracker that is lost is waited for: what it did not answer is sent again.
    """

    def __init__(self, measuring: Measuring, opening: OpenMeasure) -> None:
        self._where = f"class {opening.device_class} in pool {opening.pool}"
        self._changed = threading.Condition()
        self._awaited: dict[str, None] = {}  # in their order
        self._answers: dict[str, Measurement] = {}
        self._refused = ""
        self._closed = False
        self._boards = 0
        self._alone_since: float | None = time.monotonic()
        self._stream = measuring.open(self._take, opening)

    def begin(self, request: MeasureRequest) -> None:
        """Have it measured. Raises FarmError where the tracker serves this stream no more."""
        with self._changed:
            self._check()
            self._awaited[request.trial_id] = None
        self._stream.measure(Trial(request))

    def done(self, trial_id: str) -> bool:
        """Whether ``result`` returns, or raises, at once."""
        with self._changed:
            return trial_id not in self._awaited or bool(self._refused) or self._closed

    def result(self, trial_id: str) -> Measurement:
        """Waits for it; once. Raises FarmError where it will never come."""
        with self._changed:
            while trial_id not in self._answers:
                self._check()
                if trial_id not in self._awaited:
                    raise FarmError(f"Trial {trial_id} was given up.")
                self._changed.wait(1.0)
                self._warn()
            return self._answers.pop(trial_id)

    def give_up(self, *trial_ids: str) -> None:
        """No board runs these any longer than it takes to tell it. Without one: all that are under way."""
        with self._changed:
            given_up = [t for t in trial_ids or tuple(self._awaited) if t in self._awaited]
            for trial_id in given_up:
                del self._awaited[trial_id]
            for trial_id in trial_ids:
                self._answers.pop(trial_id, None)
        if given_up and not self._closed:
            # The last first: none that waits for a board gets the place of one that leaves it.
            self._stream.cancel(reversed(given_up))

    def close(self) -> None:
        """Give up what is under way and take no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._stream.close()

    def _take(self, event: Measurement | Capacity | StreamRefused) -> None:
        with self._changed:
            if isinstance(event, Measurement):
                if event.trial_id in self._awaited:
                    del self._awaited[event.trial_id]
                    self._answers[event.trial_id] = event
            elif isinstance(event, StreamRefused):
                self._refused = event.reason
            else:
                self._boards = event.devices
                self._alone_since = None if event.devices else time.monotonic()
            self._changed.notify_all()

    def _check(self) -> None:
        if self._refused:
            raise FarmError(f"The tracker measures no more for this script: {self._refused}.")
        if self._closed:
            raise FarmError("This FarmRunner is closed.")

    def _warn(self) -> None:
        if self._alone_since is None or time.monotonic() - self._alone_since < _PATIENCE_S:
            return
        self._alone_since = None  # said once, until boards come and go again
        log.warning(
            "no device of %s takes work at the moment, or the tracker is away; trials that wait for one: %d "
            "(`farm devices` tells more)",
            self._where,
            len(self._awaited),
        )
