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

from protos.discovery import announce
from tracker.domain.errors import CannotStart

__all__ = ["addresses", "announced"]

log = logging.getLogger(__name__)


def addresses(host: str, interface: str | None) -> list[str]:
    """IPv4 addresses under which a tracker that listens on ``host`` is reached, those of the network first."""
    if interface:
        return [interface]
    if host not in ("", "0.0.0.0", "::"):
        return [socket.gethostbyname(host)]
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
    others = [h for h in hosts if not ipaddress.ip_address(h).is_loopback] or hosts
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
