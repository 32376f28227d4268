"""How a tracker is found in a local network: the mDNS half of the wire contract.

A tracker announces ``<farm>._tvmfarm._tcp.local.`` with a TXT record; agents and the ``farm``
command browse for it. Both sides use this module, so the names live in one place. zeroconf is
imported by the first call: who has a tracker's address needs none of its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tvm_farm.protos.address import DEFAULT_PORT, joined
from tvm_farm.protos.blocking import blocking
from tvm_farm.protos.networks import mdns_interfaces, nearest_first

if TYPE_CHECKING:
    from zeroconf import ServiceInfo
    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["DEFAULT_PORT", "PROTOCOL_VERSION", "SERVICE_TYPE", "FoundTracker", "announce", "browse", "browse_async"]

SERVICE_TYPE = "_tvmfarm._tcp.local."
#: Version of the messages between agent, worker, CLI and tracker. Raised when an old peer can no longer be served.
PROTOCOL_VERSION = 2

#: RFC 6762, section 6: an answer that was multicast within the last second waits for its end, and 0.12 s by chance.
SETTLE_S = 1.2
#: Section 5.2: a first question waits as long as that, by chance.
_ASKED_S = 0.12


def _without_traceback(record: logging.LogRecord) -> bool:
    """zeroconf shows one for a cable that is out; its sentence says enough."""
    record.exc_info = None
    return True


logging.getLogger("zeroconf").addFilter(_without_traceback)


@dataclass(frozen=True)
class FoundTracker:
    """One announced tracker. ``addresses`` are ``host:port``, those of a network of ours first."""

    farm: str
    addresses: tuple[str, ...]
    protocol_version: int
    tracker_version: str

    @property
    def address(self) -> str:
        """The first of ``addresses``."""
        return self.addresses[0]


def browse(
    timeout_s: float = 3.0, *, settle_s: float = SETTLE_S, farm: str | None = None, interface: str | None = None
) -> list[FoundTracker]:
    """``browse_async`` for callers that block; also those in a thread whose event loop runs, as in a notebook."""
    return blocking(browse_async(timeout_s, settle_s=settle_s, farm=farm, interface=interface))


async def browse_async(
    timeout_s: float = 3.0, *, settle_s: float = SETTLE_S, farm: str | None = None, interface: str | None = None
) -> list[FoundTracker]:
    """Trackers heard within ``timeout_s``, sorted by farm name; empty when none answers.

    Returns ``settle_s`` after the network was asked, when all who got the question have answered; after one was heard,
    where that is later: what kept it may have kept others. With ``farm`` returns at once when that one is heard,
    however many others are heard before it. ``interface`` is an address of this host, or the name of an interface, to
    listen on alone. Raises OSError where the network refuses multicast.
    """
    from zeroconf import DNSQuestionType
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo

    found: dict[str, FoundTracker] = {}
    names: set[str] = set()
    changed = asyncio.Event()

    def on_change(*, name: str, state_change: Any, **_: object) -> None:
        (names.discard if state_change.name == "Removed" else names.add)(name)
        changed.set()

    zeroconf = _listener(interface)
    try:
        # Answers to one alone (QU) go to one socket of port 5353, which on a host with several is often another's.
        browser = AsyncServiceBrowser(
            zeroconf.zeroconf, SERVICE_TYPE, handlers=[on_change], question_type=DNSQuestionType.QM
        )
        begun = time.monotonic()
        deadline = last = begun + timeout_s
        settled = begun + _ASKED_S + settle_s
        while (left_s := deadline - time.monotonic()) > 0:
            with contextlib.suppress(asyncio.TimeoutError):  # also asks again for a service whose answer was lost
                await asyncio.wait_for(changed.wait(), min(left_s, 0.25))
            changed.clear()
            for name in sorted(names - found.keys()):
                info = AsyncServiceInfo(SERVICE_TYPE, name)
                if await info.async_request(zeroconf.zeroconf, 500) and (tracker := _from_info(info)):
                    found[name] = tracker
                    now = time.monotonic()
                    deadline = min(last, settled if now < settled else now + settle_s) if farm is None else last
            if farm is not None and any(tracker.farm == farm for tracker in found.values()):
                break
        await browser.async_cancel()
    finally:
        await zeroconf.async_close()
    return sorted(found.values(), key=lambda tracker: (tracker.farm, tracker.addresses))


def _listener(interface: str | None) -> AsyncZeroconf:
    from zeroconf import InterfaceChoice, IPVersion
    from zeroconf.asyncio import AsyncZeroconf

    try:
        return AsyncZeroconf(interfaces=mdns_interfaces(interface))
    except OSError as error:
        if interface or error.errno != errno.ENOPROTOOPT:
            raise
        # No interface can be chosen for what is sent (IP_MULTICAST_IF under QEMU's user emulation): the routes choose.
        return AsyncZeroconf(interfaces=InterfaceChoice.Default, ip_version=IPVersion.V4Only)


def _from_info(info: ServiceInfo) -> FoundTracker | None:
    from zeroconf import IPVersion

    properties = {key.decode(): (value or b"").decode(errors="replace") for key, value in info.properties.items()}
    hosts = list(dict.fromkeys(map(_named_scope, info.parsed_scoped_addresses(IPVersion.All))))
    # An address of a link that came by another way than this link leads nowhere.
    hosts = [host for host in hosts if "%" in host or not host.startswith("fe80:")]
    if not hosts or info.port is None or not properties.get("proto", "").isdigit():
        return None
    return FoundTracker(
        farm=properties.get("farm", ""),
        addresses=tuple(joined(host, info.port) for host in nearest_first(hosts)),
        protocol_version=int(properties["proto"]),
        tracker_version=properties.get("version", ""),
    )


def _named_scope(host: str) -> str:
    """ "fe80::1%2" as "fe80::1%eth0"."""
    address, mark, index = host.partition("%")
    if not mark or not index.isdigit():
        return host
    with contextlib.suppress(OSError):  # an interface that is gone by now
        return f"{address}%{socket.if_indextoname(int(index))}"
    return address


@contextlib.contextmanager
def announce(
    farm: str, port: int, tracker_version: str, addresses: list[str], *, interface: str | None = None
) -> Iterator[None]:
    """Announce a tracker while the context lasts. ``addresses`` are texts of IPv4 and IPv6 that it listens on, of which
    each host of a link sees those of the link as its own neighbours. ``interface`` as for ``browse_async``.

    Raises zeroconf.NonUniqueNameException when another tracker announces the same farm, OSError where the network
    refuses multicast.
    """
    from zeroconf import ServiceInfo, Zeroconf

    info = ServiceInfo(
        SERVICE_TYPE,
        f"{farm}.{SERVICE_TYPE}",
        port=port,
        parsed_addresses=list(dict.fromkeys(address.partition("%")[0] for address in addresses)),
        properties={"proto": str(PROTOCOL_VERSION), "farm": farm, "version": tracker_version},
    )
    zc = Zeroconf(interfaces=mdns_interfaces(interface))
    try:
        zc.register_service(info)
        try:
            yield
        finally:
            zc.unregister_service(info)
    finally:
        zc.close()
