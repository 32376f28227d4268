"""How a tracker is found in a local network: the mDNS half of the wire contract.

A tracker announces ``<farm>._tvmfarm._tcp.local.`` with a TXT record; agents and the ``farm``
command browse for it. Both sides use this module, so the names live in one place.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zeroconf import IPVersion, ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

__all__ = ["DEFAULT_PORT", "PROTOCOL_VERSION", "SERVICE_TYPE", "FoundTracker", "announce", "browse"]

SERVICE_TYPE = "_tvmfarm._tcp.local."
#: Version of the messages between agent, worker, CLI and tracker. Raised when an old peer can no longer be served.
PROTOCOL_VERSION = 1
DEFAULT_PORT = 9195


@dataclass(frozen=True)
class FoundTracker:
    """One announced tracker. ``address`` is ``host:port`` as gRPC takes it."""

    farm: str
    address: str
    protocol_version: int
    tracker_version: str


@contextmanager
def _zeroconf(interface: str | None) -> Iterator[Zeroconf]:
    if interface:
        zc = Zeroconf(interfaces=[interface])
    else:
        zc = Zeroconf(ip_version=IPVersion.V4Only)
    try:
        yield zc
    finally:
        zc.close()


class _Collector(ServiceListener):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.names.add(name)

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.names.add(name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.names.discard(name)


def browse(
    timeout_s: float = 3.0, *, settle_s: float = 0.4, farm: str | None = None, interface: str | None = None
) -> list[FoundTracker]:
    """Trackers heard within ``timeout_s``, sorted by farm name; empty when none answers.

    Returns ``settle_s`` after the first one is heard, so that a second one is not missed, or at
    once when ``farm`` is heard. ``interface`` is an IP address of this host to listen on alone.
    Raises OSError where the network refuses multicast.
    """
    found: dict[str, FoundTracker] = {}
    with _zeroconf(interface) as zc:
        listener = _Collector()
        browser = ServiceBrowser(zc, SERVICE_TYPE, listener)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for name in list(listener.names - found.keys()):
                info = zc.get_service_info(SERVICE_TYPE, name, timeout=500)
                tracker = info and _from_info(info)
                if tracker:
                    found[name] = tracker
                    deadline = min(deadline, time.monotonic() + settle_s)
            if farm is not None and any(t.farm == farm for t in found.values()):
                break
            time.sleep(0.02)
        browser.cancel()
    return sorted(found.values(), key=lambda t: (t.farm, t.address))


def _from_info(info: ServiceInfo) -> FoundTracker | None:
    properties = {k.decode(): (v or b"").decode() for k, v in info.properties.items()}
    addresses = info.parsed_addresses(IPVersion.V4Only)
    if not addresses or info.port is None or not properties.get("proto", "").isdigit():
        return None
    return FoundTracker(
        farm=properties.get("farm", ""),
        address=f"{addresses[0]}:{info.port}",
        protocol_version=int(properties["proto"]),
        tracker_version=properties.get("version", ""),
    )


@contextmanager
def announce(
    farm: str, port: int, tracker_version: str, addresses: list[str], *, interface: str | None = None
) -> Iterator[None]:
    """Announce a tracker while the context lasts. ``addresses`` are IPv4 texts it listens on.

    Raises zeroconf.NonUniqueNameException when another tracker announces the same farm.
    """
    info = ServiceInfo(
        SERVICE_TYPE,
        f"{farm}.{SERVICE_TYPE}",
        port=port,
        parsed_addresses=addresses,
        properties={"proto": str(PROTOCOL_VERSION), "farm": farm, "version": tracker_version},
    )
    with _zeroconf(interface) as zc:
        zc.register_service(info)
        try:
            yield
        finally:
            zc.unregister_service(info)
