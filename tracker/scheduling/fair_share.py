"""Whose turn it is on boards of one device class.

The next turn goes to the user with the least device time of late, and to that user's job with the least. A step of
priority halves what a second counts. A minute halves what was used before. After ten minutes without a turn each
further minute halves the time of a user or job once more, so that nobody waits for ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

__all__ = ["HALF_LIFE_S", "LONG_WAIT_S", "FairShare", "aged", "remembered", "weight"]

#: Seconds after which device time counts half.
HALF_LIFE_S = 60.0
#: Seconds without a turn after which a job gains on the others. Only a job that fits few boards, of a user with many
#: other jobs, waits so long.
LONG_WAIT_S = 600.0
#: Weight of the newest trial in a job's mean. The mean follows a change of task within tens of trials.
_RECENT = 0.1
#: Seconds that a job's first trials are taken to last, until one is answered.
_FIRST_GUESS_S = 0.5
#: Seconds below which the account of a user or job that left is forgotten.
_NOTHING_S = 1e-3


def weight(priority: int) -> float:
    """The device time that a job of ``priority`` gets for each second of a job of priority 0."""
    return 2.0**priority


def remembered(used_s: float, ago_s: float) -> float:
    """Seconds that ``used_s`` count for after ``ago_s`` seconds. A clock that was set back forgets nothing."""
    return used_s * 2.0 ** (-ago_s / HALF_LIFE_S) if ago_s > 0 else used_s


def aged(used_s: float, waited_s: float) -> float:
    """Seconds that ``used_s`` count for after a wait of ``waited_s`` without a turn."""
    return remembered(used_s, waited_s - LONG_WAIT_S)


class _Account:
    """Weighted device seconds of a user or a job."""

    __slots__ = ("at", "expected_s", "turn", "used_s")

    def __init__(self, used_s: float, now: float) -> None:
        #: Seconds used, as of the time ``at``.
        self.used_s = used_s
        self.at = now
        #: Seconds that the trials in flight are expected to use.
        self.expected_s = 0.0
        #: The number of the last turn, 0 for none.
        self.turn = 0

    def used(self, now: float) -> float:
        return remembered(self.used_s, now - self.at)

    def charge(self, seconds: float, now: float) -> None:
        self.used_s, self.at = self.used(now) + seconds, now

    def standing(self, waiting_since: float, now: float) -> tuple[float, int]:
        return aged(self.used(now) + self.expected_s, now - waiting_since), self.turn


class _Job(_Account):
    __slots__ = ("in_flight", "mean_s", "present", "turn_at", "user", "weight")

    def __init__(self, user: str, weight_: float, used_s: float, now: float) -> None:
        super().__init__(used_s, now)
        self.user = user
        self.weight = weight_
        #: Whether the job takes part.
        self.present = True
        #: When the last turn was.
        self.turn_at = -math.inf
        #: Trials on devices.
        self.in_flight = 0
        #: Seconds of a recent trial, unweighted.
        self.mean_s = _FIRST_GUESS_S


class FairShare:
    """Accounts of users and of their jobs on boards of one class. ``now`` is in seconds of any one clock.

    A new user or job starts level with the least of the others. One that left is remembered while its time counts.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._users: dict[str, _Account] = {}
        self._turns = 0

    def open(self, job: str, user: str, priority: int, now: float) -> None:
        """``job`` takes part from now on. A job that takes part already goes on as before."""
        known = self._jobs.get(job)
        if known is not None and known.present:
            return
        self._forget(now)
        if user not in self._users:
            others = {other.user for other in self._jobs.values() if other.present}
            self._users[user] = _Account(_least((self._users[other] for other in others), now), now)
        if job in self._jobs:
            self._jobs[job].present = True
        else:
            siblings = (other for other in self._jobs.values() if other.present and other.user == user)
            self._jobs[job] = _Job(user, weight(priority), _least(siblings, now), now)

    def close(self, job: str) -> None:
        """``job`` takes part no more. A job that took no part is ignored."""
        if (account := self._jobs.get(job)) is not None:
            account.present = False
            self._expect(account, -account.expected_s)
            account.in_flight = 0

    def _forget(self, now: float) -> None:
        self._jobs = {j: a for j, a in self._jobs.items() if a.present or a.used(now) > _NOTHING_S}
        users = {account.user for account in self._jobs.values()}
        self._users = {u: a for u, a in self._users.items() if u in users or a.used(now) > _NOTHING_S}

    def next(self, waiting: Mapping[str, float], now: float) -> str | None:
        """The job whose turn it is. ``waiting``: since when the first trial of each job waits.

        Of equal jobs the one whose last turn is longest ago.
        """
        if len(waiting) < 2:
            return next(iter(waiting), None)
        since: dict[str, float] = {}
        users: dict[str, float] = {}
        for job, began in waiting.items():
            account = self._jobs[job]
            since[job] = max(began, account.turn_at)
            users[account.user] = min(since[job], users.get(account.user, since[job]))
        user = min(users, key=lambda user: self._users[user].standing(users[user], now))
        of_user = (job for job in waiting if self._jobs[job].user == user)
        return min(of_user, key=lambda job: self._jobs[job].standing(since[job], now))

    def dispatched(self, job: str, now: float) -> None:
        account = self._jobs[job]
        account.in_flight += 1
        self._expect(account, account.mean_s / account.weight)
        self._turns += 1
        account.turn = self._users[account.user].turn = self._turns
        account.turn_at = now

    def returned(self, job: str, used_s: float | None, now: float) -> None:
        """A trial left its device after ``used_s`` of device time, None where the trial did not run there.

        A trial that was dispatched before its job closed is ignored.
        """
        account = self._jobs.get(job)
        if account is None or not account.in_flight:
            return
        self._expect(account, -account.expected_s / account.in_flight)
        account.in_flight -= 1
        if used_s is not None:
            account.charge(used_s / account.weight, now)
            self._users[account.user].charge(used_s / account.weight, now)
            account.mean_s += _RECENT * (used_s - account.mean_s)

    def _expect(self, account: _Job, seconds: float) -> None:
        account.expected_s += seconds
        self._users[account.user].expected_s += seconds


def _least(accounts: Iterable[_Account], now: float) -> float:
    return min((account.used(now) for account in accounts), default=0.0)
