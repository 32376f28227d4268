"""Telling the local network where the tracker is."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
from zeroconf import NonUniqueNameException

from tvm_farm.protos.discovery import announce
from tvm_farm.protos.names import parse_farm_name
from tvm_farm.tracker.domain.errors import CannotStart

__all__ = ["addresses", "announced", "check"]

log = logging.getLogger(__name__)


_EVERYWHERE = ("", "0.0.0.0", "::")


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
    ours = _own_addresses()
    if interface not in ours:
        raise CannotStart(
            f"--mdns-interface {interface} is not an IPv4 address of this host, which has {', '.join(ours)}"
        )
    if host not in _EVERYWHERE and interface not in listening:
        raise CannotStart(
            f"--mdns-interface {interface} would announce an address where a tracker with --host {host} does not "
            "listen: give both the same address, or leave one of them out"
        )


def addresses(host: str, interface: str | None) -> list[str]:
    """Addresses under which a tracker that listens on ``host`` is reached, those of the network first.

    IPv4, unless ``host`` has IPv6 alone. Raises CannotStart for a host that is not known.
    """
    if interface:
        return [interface]
    return _own_addresses() if host in _EVERYWHERE else _resolved(host)[:1]


def _resolved(host: str) -> list[str]:
    if host in _EVERYWHERE:
        return [host]
    try:
        found = [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as e:
        reason = getattr(e, "strerror", None) or "it is no host name"
        raise CannotStart(f"--host {host} cannot be resolved ({reason}): give an address of this host") from e
    return sorted(found, key=_is_ipv6)


def _is_ipv6(address: str) -> bool:
    return ":" in address


def _own_addresses() -> list[str]:
    found = {
        address.address
        for name, interface_addresses in psutil.net_if_addrs().items()
        if (stats := psutil.net_if_stats().get(name)) is not None and stats.isup
        for address in interface_addresses
        if address.family is socket.AF_INET
    }
    return sorted(found, key=lambda a: (ipaddress.ip_address(a).is_loopback, a)) or ["127.0.0.1"]


@asynccontextmanager
async def announced(farm: str, port: int, version: str, hosts: list[str], interface: str | None) -> AsyncIterator[None]:
    """Announce the tracker by mDNS while the context lasts.

    A network without multicast is logged and no error: agents then name the tracker's address. Raises CannotStart when
    another tracker announces the same farm.
    """
    # A network of its own keeps loopback out of what others are told.
    others = [h for h in hosts if not _is_ipv6(h) and not ipaddress.ip_address(h).is_loopback] or hosts
    if any(map(_is_ipv6, others)):
        log.warning(
            "farms are announced by IPv4 alone, this one is not: agents need --tracker [%s]:%d", others[0], port
        )
        yield
        return
    context = announce(farm, port, version, others, interface=interface)
    try:
        await asyncio.to_thread(context.__enter__)
    except NonUniqueNameException as e:
        raise CannotStart(f"another tracker announces the farm '{farm}' here: choose another name with --farm") from e
    except OSError as e:
        log.warning("mDNS is not possible here (%s): agents need --tracker HOST:%d", e, port)
        yield
        return
    try:
        yield
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)
