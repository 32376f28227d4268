"""A connected board as the tracker sees it, and what can be said to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Protocol

from tvm_farm.tracker.domain import Device, DeviceState, Outcome, Telemetry, Upgrade
from tvm_farm.tracker.domain.outcomes import meaning
from tvm_farm.tracker.domain.utilisation import Utilisation
from tvm_farm.tracker.measuring.request import TrialRequest
from tvm_farm.tracker.scheduling.health import ailment

__all__ = ["Acknowledge", "Board", "BoardListener", "Boards", "Cancel", "Order"]


@dataclass(frozen=True)
class Cancel:
    """Forget these trials; no answer is expected."""

    trial_ids: tuple[str, ...]


@dataclass(frozen=True)
class Acknowledge:
    """These measurements are stored, or were not wanted any more."""

    trial_ids: tuple[str, ...]


#: An Upgrade without an id: none is ordered any more.
Order = TrialRequest | Cancel | Acknowledge | Upgrade

#: A board is given about this much work, as long as its slots allow it: more than the way there and back takes.
_AHEAD_S = 0.1
#: Weight of the newest trial in the mean of their times.
_RECENT = 0.2


class Board:
    """One stream of one device. ``device`` is its description; what changes with every trial is beside it.

    ``heard_at`` is in unix seconds, ``silent_since`` and ``stored_at`` are of the fleet's monotonic clock.
    ``refusals``: how often in a row it gave a trial back.
    ``failures``: how many trials in a row failed on it. ``free_bytes``: memory that the next trial finds free.
    ``draining``: its agent's word; a drain that a person ordered is its device's.
    ``slots``: trials that it is given at once; up to ``short_slots`` while they are short.
    """

    def __init__(
        self,
        device: Device,
        slots: int,
        send: Callable[[Order | None], None],
        now: float,
        monotonic: float,
        short_slots: int = 0,
    ) -> None:
        self.device = device
        self.slots = slots
        self.short_slots = max(slots, short_slots)
        self.depth = slots
        self.send = send
        self.held: set[str] = set()
        self._mean_s = 0.0
        self._open = True
        self.draining = False
        self.connected = True
        #: Until when, steady, it gets no trials, having given back too many; None: it gets them.
        self.quarantined_until_s: float | None = None
        self.refusals = 0
        self.failures = 0
        self.heard_at = now
        self.silent_since = monotonic
        self.telemetry: Telemetry | None = device.telemetry
        self.measured = device.measured
        self._utilisation = Utilisation(now)
        self._executing: tuple[str, float] | None = None
        self._executing_bytes = 0
        self.free_bytes = self.telemetry.memory_available_bytes if self.telemetry else None
        self.stored_at = monotonic
        #: How far its agent said that it is with an upgrade.
        self.upgrading: Upgrade | None = None

    @property
    def id(self) -> str:
        return self.device.id

    @property
    def quarantined(self) -> bool:
        """It gave back too many trials in a row, and gets none for a while."""
        return self.quarantined_until_s is not None

    @property
    def takes_work(self) -> bool:
        kept_back = self.draining or self.quarantined or self.disk_fault or self.device.drain is not None
        return self.connected and not kept_back

    @property
    def disk_fault(self) -> str:
        """Why it can bring no trial's files to its disk, a clause; "" where it can."""
        return self.telemetry.disk_fault if self.telemetry else ""

    @property
    def drains(self) -> bool:
        """It takes no new work until its agent starts again, or a person says so."""
        return self.draining or self.device.drain is not None

    @property
    def ailing(self) -> str:
        """Why other boards come first; "" where it is well."""
        if self.quarantined:
            return f"in quarantine, it gave back {self.refusals} trials in a row"
        return ailment(self.telemetry, self.failures)

    def answered(self, outcome: Outcome) -> None:
        """It measured a trial, with whatever outcome."""
        if meaning(outcome).suspect:
            self.failures += 1
        elif outcome is Outcome.OK:
            self.failures = 0

    def feels(self, telemetry: Telemetry) -> None:
        """A reading of its sensors came."""
        self.telemetry = telemetry
        free = telemetry.memory_available_bytes
        # A reading in the middle of a kernel lacks what that kernel has, and will have given back.
        self.free_bytes = None if free is None else free + self._executing_bytes

    @property
    def state(self) -> DeviceState:
        if not self.connected:
            return DeviceState.LOST
        if self.drains:
            return DeviceState.DRAINING
        return DeviceState.MEASURING if self.held else DeviceState.IDLE

    @property
    def wants_more(self) -> bool:
        """Whether it is to be given a trial now.

        One that holds many short ones is filled up when half of them are done, not after each: orders that leave
        together cost as one.
        """
        held = len(self.held)
        if held >= self.depth:
            self._open = False
        elif held <= (self.depth // 2 if self.depth > self.slots else self.depth - 1):
            self._open = True
        return self._open

    def began(self, trial_id: str, now: float, memory_bytes: int = 0) -> None:
        """The board executes a trial from now on, which takes so much memory."""
        self._executing, self._executing_bytes = (trial_id, now), memory_bytes

    def ended(self, trial_id: str, now: float, used_s: float | None) -> None:
        """A trial left the board after ``used_s`` of executing; None: as far as is known here."""
        if self._executing is not None and self._executing[0] == trial_id:
            used_s = now - self._executing[1] if used_s is None else used_s
            self._executing, self._executing_bytes = None, 0
        if used_s:
            self._utilisation.add(now, used_s)
            self._mean_s += (_RECENT if self._mean_s else 1.0) * (used_s - self._mean_s)
            self.depth = max(self.slots, min(self.short_slots, math.ceil(_AHEAD_S / self._mean_s)))

    def utilised(self, now: float) -> float:
        """Share of the last minute spent executing, 0..1."""
        since = self._executing[1] if self._executing else None
        return self._utilisation.share(now, since) if self.connected else 0.0

    def snapshot(self, now: float) -> Device:
        """The device with its present state."""
        upgrade, told = self.device.upgrade, self.upgrading
        if upgrade is not None and told is not None and told.id == upgrade.id and not upgrade.failure:
            upgrade = told
        return replace(
            self.device,
            state=self.state,
            last_heard_unix_s=self.heard_at,
            stopped=self.draining and not self.connected,
            telemetry=self.telemetry,
            held=len(self.held),
            measured=self.measured,
            utilisation=self.utilised(now),
            ailing=self.ailing if self.connected else "",
            upgrade=upgrade,
        )


class BoardListener(Protocol):
    """Who places work on boards."""

    def joined(self, board: Board) -> None:
        """A board takes work from now on, or its pools or its lease changed."""

    def left(self, board: Board) -> None:
        """A board is lost: what it held goes to others."""

    def stopped(self, board: Board) -> None:
        """A board takes no new work; what it holds it still answers."""

    def felt(self, board: Board) -> None:
        """A reading of a board's sensors came."""


class Boards(Protocol):
    """Which boards there are, as far as placing work needs it."""

    def board(self, device_id: str) -> Board:
        """A connected board. Raises KeyError for any other."""

    def connected(self) -> Collection[Board]: ...

    def lease_holders(self) -> set[str]:
        """Users who have a lease of a device, connected or not."""

    @property
    def least_free_bytes(self) -> float:
        """No connected board that tells has less memory free; infinite where none tells."""
