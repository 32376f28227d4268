"""A connected board as the tracker sees it, and what can be said to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from tracker.domain import Device, DeviceState, MeasureRequest, Telemetry
from tracker.domain.utilisation import Utilisation

__all__ = ["Acknowledge", "Board", "BoardListener", "Cancel", "Order"]


@dataclass(frozen=True)
class Cancel:
    """Forget these trials; no answer is expected."""

    trial_ids: tuple[str, ...]


@dataclass(frozen=True)
class Acknowledge:
    """These measurements are stored, or were not wanted any more."""

    trial_ids: tuple[str, ...]


Order = MeasureRequest | Cancel | Acknowledge


class Board:
    """One stream of one device. ``device`` is its description; what changes with every trial is beside it.

    ``heard_at`` is in unix seconds, ``silent_since`` and ``stored_at`` are of the fleet's monotonic clock.
    ``refusals``: how often in a row it gave a trial back; ``quarantined``: for that it gets none for a while.
    """

    def __init__(
        self, device: Device, slots: int, send: Callable[[Order | None], None], now: float, monotonic: float
    ) -> None:
        self.device = device
        self.slots = slots
        self.send = send
        self.held: set[str] = set()
        self.draining = False
        self.connected = True
        self.quarantined = False
        self.refusals = 0
        self.heard_at = now
        self.silent_since = monotonic
        self.telemetry: Telemetry | None = device.telemetry
        self.measured = device.measured
        self._utilisation = Utilisation(now)
        self._executing: tuple[str, float] | None = None
        self.stored_at = monotonic

    @property
    def id(self) -> str:
        return self.device.id

    @property
    def takes_work(self) -> bool:
        return self.connected and not self.draining and not self.quarantined

    @property
    def state(self) -> DeviceState:
        if not self.connected:
            return DeviceState.LOST
        if self.draining:
            return DeviceState.DRAINING
        return DeviceState.MEASURING if self.held else DeviceState.IDLE

    def began(self, trial_id: str, now: float) -> None:
        """The board executes a trial from now on."""
        self._executing = (trial_id, now)

    def ended(self, trial_id: str, now: float, used_s: float | None) -> None:
        """A trial left the board after ``used_s`` of executing; None: as far as is known here."""
        if self._executing is not None and self._executing[0] == trial_id:
            used_s = now - self._executing[1] if used_s is None else used_s
            self._executing = None
        if used_s:
            self._utilisation.add(now, used_s)

    def utilised(self, now: float) -> float:
        """Share of the last minute spent executing, 0..1."""
        since = self._executing[1] if self._executing else None
        return self._utilisation.share(now, since) if self.connected else 0.0

    def snapshot(self, now: float) -> Device:
        """The device with its present state."""
        return replace(
            self.device,
            state=self.state,
            last_heard_unix_s=self.heard_at,
            telemetry=self.telemetry,
            held=len(self.held),
            measured=self.measured,
            utilisation=self.utilised(now),
        )


class BoardListener(Protocol):
    """Who places work on boards."""

    def joined(self, board: Board) -> None:
        """A board takes work from now on, or its pools changed."""

    def left(self, board: Board) -> None:
        """A board is lost: what it held goes to others."""

    def stopped(self, board: Board) -> None:
        """A board takes no new work; what it holds it still answers."""
