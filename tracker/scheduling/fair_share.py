"""Whose turn it is on a device.

Next is the user, and of that user's jobs the one, that has used least device time lately: each step of priority halves
what a second counts, each minute halves what was used. So a minute of waiting is worth a step of priority, and nobody
waits for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

__all__ = ["HALF_LIFE_S", "FairShare", "remembered", "weight"]

#: Device time that was used so long ago counts half.
HALF_LIFE_S = 60.0
#: Weight of the newest trial in a job's mean: it follows a change of task within tens of trials.
_RECENT = 0.1
#: Assumed of a job's first trials, until one is answered.
_FIRST_GUESS_S = 0.5
#: Accounts of those who left are forgotten below this.
_NOTHING_S = 1e-3


def weight(priority: int) -> float:
    """The part of device time that one of ``priority`` gets beside one of priority 0."""
    return 2.0**priority


def remembered(used_s: float, ago_s: float) -> float:
    """What ``used_s`` counts after ``ago_s``. A clock that was set back forgets nothing."""
    return used_s * 2.0 ** (-ago_s / HALF_LIFE_S) if ago_s > 0 else used_s


class _Account:
    """Weighted device seconds of a user or a job: ``used_s`` as of ``at``, and those expected of what is in flight."""

    __slots__ = ("at", "expected_s", "turn", "used_s")

    def __init__(self, used_s: float, now: float) -> None:
        self.used_s = used_s
        self.at = now
        self.expected_s = 0.0
        self.turn = 0

    def used(self, now: float) -> float:
        return remembered(self.used_s, now - self.at)

    def charge(self, seconds: float, now: float) -> None:
        self.used_s, self.at = self.used(now) + seconds, now

    def standing(self, now: float) -> tuple[float, int]:
        return self.used(now) + self.expected_s, self.turn


class _Job(_Account):
    """``streams`` of it are open, ``in_flight`` trials of it on devices, which lately took ``mean_s``, unweighted."""

    __slots__ = ("in_flight", "mean_s", "streams", "user", "weight")

    def __init__(self, user: str, weight_: float, used_s: float, now: float) -> None:
        super().__init__(used_s, now)
        self.user = user
        self.weight = weight_
        self.streams = 0
        self.in_flight = 0
        self.mean_s = _FIRST_GUESS_S


class FairShare:
    """Accounts of users and of their jobs. ``now`` is in seconds of any one clock.

    Who is new starts level with the least of the others. Who left is remembered as long as what was used counts.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._users: dict[str, _Account] = {}
        self._turns = 0

    def open(self, job: str, user: str, priority: int, now: float) -> None:
        """``job`` takes part, once more where it does already: closed as often, it does no longer."""
        self._forget(now)
        if user not in self._users:
            others = {other.user for other in self._jobs.values() if other.streams}
            self._users[user] = _Account(_least((self._users[other] for other in others), now), now)
        if job not in self._jobs:
            siblings = (other for other in self._jobs.values() if other.streams and other.user == user)
            self._jobs[job] = _Job(user, weight(priority), _least(siblings, now), now)
        self._jobs[job].streams += 1

    def close(self, job: str) -> None:
        account = self._jobs[job]
        account.streams -= 1
        if not account.streams:
            self._expect(account, -account.expected_s)
            account.in_flight = 0

    def _forget(self, now: float) -> None:
        self._jobs = {j: a for j, a in self._jobs.items() if a.streams or a.used(now) > _NOTHING_S}
        users = {account.user for account in self._jobs.values()}
        self._users = {u: a for u, a in self._users.items() if u in users or a.used(now) > _NOTHING_S}

    def next(self, waiting: Collection[str], now: float) -> str | None:
        """The job of ``waiting`` whose turn it is; of equals the one whose last turn is longest ago."""
        if len(waiting) < 2:
            return next(iter(waiting), None)
        users = dict.fromkeys(self._jobs[job].user for job in waiting)
        user = min(users, key=lambda user: self._users[user].standing(now))
        return min((j for j in waiting if self._jobs[j].user == user), key=lambda j: self._jobs[j].standing(now))

    def dispatched(self, job: str) -> None:
        account = self._jobs[job]
        account.in_flight += 1
        self._expect(account, account.mean_s / account.weight)
        self._turns += 1
        account.turn = self._users[account.user].turn = self._turns

    def returned(self, job: str, used_s: float | None, now: float) -> None:
        """A trial left its device after ``used_s`` of device time; None where it was not run there.

        One that was dispatched before its job closed is ignored.
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
