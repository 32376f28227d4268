"""Streams of trials, as clients open them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tvm_farm.tracker.domain import Capacity, Measurement, OpenMeasure
from tvm_farm.tracker.measuring.trial import PendingTrial, TrialState
from tvm_farm.tracker.scheduling.placement import Selection

__all__ = ["Answer", "Stream"]

Answer = Measurement | Capacity


class Stream:
    """One open Measure call: whose trials they are, and those that are not answered.

    ``account``: its job, or itself where it has none; as that it gets its share of the boards.
    ``pending`` holds every unanswered trial, ``storing`` counts failed builds that are being recorded.
    """

    def __init__(self, id_: str, opened: OpenMeasure) -> None:
        self.id = id_
        self.opened = opened
        self.account = opened.job_id or f"stream {id_}"
        self.selection = Selection(opened.pool, opened.device_class, opened.whole_models, opened.device_id)
        self.queue: deque[PendingTrial] = deque()
        self.pending: dict[str, PendingTrial] = {}
        self.cancelled = False
        self.storing = 0
        self.bytes = 0

    @property
    def user(self) -> str:
        return self.opened.user

    @property
    def settled(self) -> bool:
        """Whether none of its trials is unanswered."""
        return not self.pending and not self.storing

    def add(self, trial: PendingTrial) -> None:
        self.pending[trial.id] = trial
        self.bytes += trial.bytes

    def remove(self, trial: PendingTrial) -> None:
        if self.pending.pop(trial.id, None) is not None:
            self.bytes -= trial.bytes

    def waiting(self) -> Iterator[PendingTrial]:
        """Trials to be placed, in their order. What was answered or dropped meanwhile is passed over."""
        while self.queue and self.queue[0].state is not TrialState.QUEUED:
            self.queue.popleft()
        return (trial for trial in self.queue if trial.state is TrialState.QUEUED)
