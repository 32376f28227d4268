"""What people order of a device: leases, drains, labels, upgrades. Pure transitions; the tracker keeps their values."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from tvm_farm.protos.upgrade import Upgrade
from tvm_farm.tracker.domain.durations import duration
from tvm_farm.tracker.domain.errors import InvalidRequest, NotPossible

__all__ = [
    "MAX_LEASE_S",
    "DeviceOrders",
    "Drain",
    "Lease",
    "drained",
    "labelled",
    "leased",
    "released",
    "resumed",
    "upgrade_ended",
]

#: A board that is wanted for longer is no board of the farm's: it is drained, or its agent stopped.
MAX_LEASE_S = 7 * 86400.0


@dataclass(frozen=True)
class Lease:
    """Exclusive use of a device by ``user``, in Unix seconds of the tracker's clock."""

    user: str
    since_unix_s: float
    until_unix_s: float

    def __str__(self) -> str:
        until = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.until_unix_s))
        return f"leased to {self.user} until {until}"


@dataclass(frozen=True)
class Drain:
    """The device takes no new work of anybody, by order of ``user`` ("": not told)."""

    user: str
    since_unix_s: float
    reason: str = ""


@dataclass(frozen=True)
class DeviceOrders:
    """All that is ordered of one device. ``labels`` stand over those that its agent gives.

    ``upgrade``: until its agent runs with it; with a ``failure`` it is over, and stays to be read.
    """

    lease: Lease | None = None
    drain: Drain | None = None
    labels: dict[str, str] = field(default_factory=dict)
    upgrade: Upgrade | None = None

    def at(self, now: float) -> DeviceOrders:
        """What of it holds at ``now``: a lease ends by itself."""
        return replace(self, lease=None) if self.lease and self.lease.until_unix_s <= now else self

    @property
    def any(self) -> bool:
        """Whether somebody wants something of the device; an upgrade that failed is over."""
        upgrade = self.upgrade is not None and not self.upgrade.failure
        return bool(self.lease or self.drain or self.labels or upgrade)

    def __str__(self) -> str:
        orders = [str(self.lease)] if self.lease else []
        if self.drain:
            orders.append(f"drained by {self.drain.user or 'someone'} ({self.drain.reason or 'no reason given'})")
        if self.upgrade:
            failed = f", which failed: {self.upgrade.failure}" if self.upgrade.failure else ""
            orders.append(f"upgrade to {self.upgrade.version} by {self.upgrade.user or 'someone'}{failed}")
        return ", ".join([*orders, *(f"{key}={value}" for key, value in self.labels.items())]) or "nothing"


def leased(orders: DeviceOrders, device: str, user: str, for_s: float, now: float) -> DeviceOrders:
    """``user`` has ``device`` (its name, for the errors) for ``for_s`` seconds from ``now``.

    The holder's own lease is renewed and never made shorter. Raises InvalidRequest for a lease that nobody could have,
    NotPossible, which names holder and end, where somebody else has it.
    """
    if not user:
        raise InvalidRequest(f"a lease of {device} needs a user: whose is it to be")
    if not 0 < for_s <= MAX_LEASE_S:
        asked = duration(for_s) if MAX_LEASE_S < for_s < math.inf else f"{for_s:g} s"
        raise InvalidRequest(
            f"a lease lasts at most {MAX_LEASE_S / 86400:.0f} days, not {asked}: renew it, or drain {device}"
        )
    held = orders.at(now).lease
    if held is None:
        return replace(orders, lease=Lease(user, now, now + for_s))
    _only_holder(held, device, user)
    return replace(orders, lease=replace(held, until_unix_s=max(held.until_unix_s, now + for_s)))


def released(orders: DeviceOrders, device: str, user: str, now: float) -> DeviceOrders:
    """Raises NotPossible where ``device`` is not leased, or to somebody else."""
    held = orders.at(now).lease
    if held is None:
        raise NotPossible(f"device {device} is not leased: there is nothing to release")
    _only_holder(held, device, user)
    return replace(orders, lease=None)


def _only_holder(held: Lease, device: str, user: str) -> None:
    if held.user != user:
        raise NotPossible(f"device {device} is {held}")


def drained(orders: DeviceOrders, user: str, reason: str, now: float) -> DeviceOrders:
    """Drained already, it keeps since when and gets the new reason."""
    since = orders.drain.since_unix_s if orders.drain else now
    return replace(orders, drain=Drain(user, since, reason))


def resumed(orders: DeviceOrders, device: str) -> DeviceOrders:
    """Raises NotPossible where nobody drained ``device``."""
    if orders.drain is None:
        raise NotPossible(f"nobody drained {device}: there is nothing to resume")
    return replace(orders, drain=None)


def labelled(
    orders: DeviceOrders, device: str, put: Mapping[str, str], remove: Collection[str], own: Mapping[str, str]
) -> DeviceOrders:
    """Labels put and removed at once; one that is removed has its agent's value again, where that has one.

    ``own``: the labels of the agent. Raises InvalidRequest for a label that is both or cannot be removed.
    """
    if both := sorted(set(put) & set(remove)):
        raise InvalidRequest(f"the label '{both[0]}' is to be set and removed: say one of them")
    for key in remove:
        if key in orders.labels:
            continue
        if key in own:
            raise InvalidRequest(
                f"the label '{key}' comes from the agent of {device}: start the agent without it, or set another value"
            )
        raise InvalidRequest(f"device {device} has no label '{key}'")
    kept = {key: value for key, value in orders.labels.items() if key not in remove}
    return replace(orders, labels={**kept, **put})


def upgrade_ended(orders: DeviceOrders, upgrade_id: str, failure: str = "") -> DeviceOrders:
    """It runs, or for ``failure`` it does not. Nothing changes where another one is ordered by now, or none."""
    if orders.upgrade is None or orders.upgrade.id != upgrade_id:
        return orders
    return replace(orders, upgrade=replace(orders.upgrade, failure=failure) if failure else None)
