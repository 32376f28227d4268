"""Whose turn it is: streams of trials get equal device time, whatever their kernels take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FairShare"]

#: Weight of the newest trial in a stream's mean: it follows a change of task within tens of trials.
_RECENT = 0.1
#: Assumed of a stream's first trials, until one is answered.
_FIRST_GUESS_S = 0.5


@dataclass
class _Account:
    used_s: float
    in_flight: int = 0
    mean_s: float = _FIRST_GUESS_S
    turn: int = 0


class FairShare:
    """Device seconds used by each stream; those in flight count as their stream's recent mean.

    A stream that opens starts level with the least of the others, so it neither waits for its past nor is paid for it.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._turns = 0

    def open(self, stream: str) -> None:
        self._accounts[stream] = _Account(min((a.used_s for a in self._accounts.values()), default=0.0))

    def close(self, stream: str) -> None:
        self._accounts.pop(stream, None)

    def next(self, waiting: Iterable[str]) -> str | None:
        """The stream of ``waiting`` that has used least; of equals the one whose last turn is longest ago."""
        return min(waiting, key=self._standing, default=None)

    def _standing(self, stream: str) -> tuple[float, int]:
        account = self._accounts[stream]
        return account.used_s + account.in_flight * account.mean_s, account.turn

    def dispatched(self, stream: str) -> None:
        account = self._accounts[stream]
        account.in_flight += 1
        self._turns += 1
        account.turn = self._turns

    def returned(self, stream: str, used_s: float | None) -> None:
        """A trial left its device after ``used_s`` of device time; None where it was not run there."""
        account = self._accounts.get(stream)
        if account is None:
            return
        account.in_flight -= 1
        if used_s is not None:
            account.used_s += used_s
            account.mean_s += _RECENT * (used_s - account.mean_s)
