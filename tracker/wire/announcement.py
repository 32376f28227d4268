"""Telling the local network where the tracker is, while its networks come and go."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager

from zeroconf import NonUniqueNameException

from tvm_farm.protos.address import joined
from tvm_farm.protos.discovery import announce
from tvm_farm.protos.names import parse_farm_name
from tvm_farm.protos.networks import own_addresses
from tvm_farm.tracker.domain.errors import CannotStart

__all__ = ["addresses", "announced", "check", "is_everywhere", "local_host"]

log = logging.getLogger(__name__)


#: What stands for all addresses of this host: of IPv4 alone, or of both kinds.
_EVERYWHERE = {"": (4, 6), "0.0.0.0": (4,), "::": (4, 6)}
#: How often this host's addresses are looked at: one comes minutes after a boot, another goes with a cable.
_LOOK_EVERY_S = 5.0


def is_everywhere(host: str) -> bool:
    """Whether a tracker with ``--host HOST`` listens on every address of this host."""
    return host in _EVERYWHERE


def check(host: str, farm: str, interface: str | None) -> None:
    """Whether a tracker can listen on ``host`` and be announced like this, before anything is done.

    Raises CannotStart, which names the option to change.
    """
    try:
        parse_farm_name(farm)
    except ValueError as e:
        raise CannotStart(f"--farm: {e}") from e
    listening = _resolved(host)
    if interface is None:
        return
    ours = _hosts_of(interface)
    if not ours:
        there = ", ".join(f"{own.host} of {own.interface}" for own in own_addresses())
        raise CannotStart(
            f"--mdns-interface {interface} is no network interface of this host and no address of one: it has {there}"
        )
    if not is_everywhere(host) and not set(ours) & set(listening):
        raise CannotStart(
            f"--mdns-interface {interface} would announce an address where a tracker with --host {host} does not "
            "listen: give both the same address, or leave one of them out"
        )


def addresses(host: str, interface: str | None) -> list[str]:
    """Addresses under which a tracker that listens on ``host`` is reached now, those of the network first.

    An IPv6 address of a link has its interface: "fe80::1%eth0". Raises CannotStart for a host that is not known.
    """
    if not is_everywhere(host):
        return _resolved(host)[:1]
    if interface:
        found = _hosts_of(interface)
    else:
        found = [own.host for own in own_addresses()]
    kinds = _EVERYWHERE[host]
    return [each for each in found if _version(each) in kinds] or [local_host()]


def local_host() -> str:
    """The address by which this host reaches itself: 127.0.0.1, or ::1 where there is no IPv4."""
    loopback = [own.host for own in own_addresses() if own.loopback]
    return "::1" if "::1" in loopback and "127.0.0.1" not in loopback else "127.0.0.1"


def _hosts_of(interface: str) -> list[str]:
    """This host's addresses that an ``--mdns-interface`` means."""
    return [own.host for own in own_addresses() if interface in (own.interface, own.host, str(own.address.ip))]


def _resolved(host: str) -> list[str]:
    if is_everywhere(host):
        return [host]
    try:
        found = [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as e:
        reason = getattr(e, "strerror", None) or "it is no host name"
        raise CannotStart(f"--host {host} cannot be resolved ({reason}): give an address of this host") from e
    return sorted(found, key=_version)


def _version(host: str) -> int:
    return 6 if ":" in host else 4


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


@asynccontextmanager
async def announced(
    farm: str,
    port: int,
    version: str,
    look: Callable[[], Sequence[str]],
    interface: str | None,
    moved: Callable[[Sequence[str]], None] = lambda hosts: None,
) -> AsyncIterator[None]:
    """Announce the tracker by mDNS while the context lasts, at the addresses that ``look`` gives now and then.

    ``moved`` is told of others than at first. A network without multicast is logged, tried again, and no error: agents
    then name the tracker's address. Raises CannotStart when another tracker announces the same farm.
    """
    announcement = _Announcement(farm, port, version, interface)
    hosts = list(look())
    try:
        await announcement.put(hosts)
    except NonUniqueNameException as e:
        raise CannotStart(f"another tracker announces the farm '{farm}' here: choose another name with --farm") from e
    ended = asyncio.Event()
    following = asyncio.create_task(_follow(announcement, hosts, look, moved, ended))
    try:
        yield
    finally:
        ended.set()
        await following
        await announcement.end()


async def _follow(
    announcement: _Announcement,
    hosts: list[str],
    look: Callable[[], Sequence[str]],
    moved: Callable[[Sequence[str]], None],
    ended: asyncio.Event,
) -> None:
    again = not announcement.stands
    while not ended.is_set():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(ended.wait(), _LOOK_EVERY_S)
            return
        try:
            now = list(await asyncio.to_thread(look))
            if now != hosts:
                hosts, again = now, True
                moved(now)
            if again:
                again = False
                await announcement.put(now)
                again = not announcement.stands
        except NonUniqueNameException:
            log.error("another tracker announces the farm '%s' here: this one is announced no more", announcement.farm)
        except Exception:
            # Without it no later address would be told.
            log.exception("a look at this host's addresses failed")


class _Announcement:
    """One of a tracker, at the addresses that it has at the time."""

    def __init__(self, farm: str, port: int, version: str, interface: str | None) -> None:
        self.farm = farm
        self._port = port
        self._version = version
        self._interface = interface
        self._context: AbstractContextManager[None] | None = None
        self._warned: set[str] = set()

    @property
    def stands(self) -> bool:
        """Whether the tracker is announced."""
        return self._context is not None

    async def put(self, hosts: Sequence[str]) -> None:
        """Announce ``hosts`` in place of those before. Raises zeroconf.NonUniqueNameException."""
        await self.end()
        # A network of its own keeps loopback out of what others are told.
        others = [host for host in hosts if not _is_loopback(host)]
        interface = self._interface
        if not others and interface is None and local_host() == "127.0.0.1":
            interface = "127.0.0.1"
            self._warn(f"no other host reaches this tracker at {', '.join(hosts)}: it is announced on this host alone")
        context = announce(self.farm, self._port, self._version, others or list(hosts), interface=interface)
        try:
            await asyncio.to_thread(context.__enter__)
        except OSError as e:
            where = joined((others or list(hosts))[0], self._port)
            self._warn(f"mDNS is not possible here ({e.strerror or e}): agents need --tracker {where}")
            return
        self._context = context
        self._warned.clear()
        log.info(
            "announced as farm %s at %s", self.farm, ", ".join(joined(host, self._port) for host in others or hosts)
        )

    def _warn(self, text: str) -> None:
        if text not in self._warned:  # it is tried again and again
            log.warning("%s", text)
        self._warned.add(text)

    async def end(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            with contextlib.suppress(OSError):  # its network is gone
                await asyncio.to_thread(context.__exit__, None, None, None)
