"""This host's addresses in its networks, IPv4 and IPv6, and which of another host's are near. Linux alone tells all."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OwnAddress", "everywhere", "mdns_interfaces", "nearest_first", "own_addresses"]

_SIOCGIFFLAGS = 0x8913
_IFF_UP, _IFF_LOOPBACK, _IFF_MULTICAST = 0x1, 0x8, 0x1000
#: Linux's include/uapi/linux/if_addr.h: one that changes by the day, one that another host has, one that will go, one
#: that may not be used yet.
_UNFIT = 0x01 | 0x08 | 0x20 | 0x40


@dataclass(frozen=True)
class OwnAddress:
    """An address of an interface that is up."""

    interface: str
    #: With the length of its network's prefix.
    address: ipaddress.IPv4Interface | ipaddress.IPv6Interface
    #: Of the interface: whether it is the loopback, and whether it sends to many at once, as a VPN does not.
    loopback: bool = False
    multicast: bool = True

    @property
    def host(self) -> str:
        """As others write it, "192.168.1.7"; one of the link alone with its interface, "fe80::1%eth0"."""
        text = str(self.address.ip)
        return f"{text}%{self.interface}" if self.link_local and self.address.version == 6 else text

    @property
    def link_local(self) -> bool:
        """Whether only hosts of one link reach it."""
        return self.address.is_link_local


def own_addresses() -> list[OwnAddress]:
    """Those that others may use, IPv4 before IPv6, a VPN's after both, the loopback last.

    Empty where no interface is up.
    """
    import ifaddr  # what zeroconf brings

    unfit = _unfit()
    found = []
    for adapter in ifaddr.get_adapters():
        flags = _flags(adapter.name)
        if not flags & _IFF_UP or _is_port(adapter.name):
            continue
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0].partition("%")[0]
            address = ipaddress.ip_interface(f"{text}/{ip.network_prefix}")
            if (adapter.name, address.ip) not in unfit:
                marks = bool(flags & _IFF_LOOPBACK) or address.is_loopback, bool(flags & _IFF_MULTICAST)
                found.append(OwnAddress(adapter.name, address, *marks))
    return sorted(found, key=_rank)


def everywhere() -> str:
    """What a server binds to for every address of this host: of both kinds where the kernel has IPv6."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"


def mdns_interfaces(chosen: str | None = None, own: Sequence[OwnAddress] | None = None) -> list[str]:
    """What to listen and send on for mDNS: of each interface one address of each kind, as zeroconf takes them.

    ``chosen``: an address or an interface's name, which stands for all that it has. Raises OSError where there is none.
    """
    own = own_addresses() if own is None else own
    if chosen:
        its = [each for each in own if chosen in (each.interface, each.host, str(each.address.ip))]
        if not its:
            raise OSError(errno.EADDRNOTAVAIL, f"no network interface that is up is or has {chosen}")
    else:
        # Multicast over a loopback without that mark works for IPv4 alone.
        its = [each for each in own if each.multicast or (each.loopback and each.address.version == 4)]
        if not its:
            raise OSError(errno.ENETDOWN, "no network interface has an address")
    first: dict[tuple[str, int], OwnAddress] = {}
    # Of IPv6 the one of the link: who hears it knows by it through which interface the others of the link are reached.
    for each in sorted(its, key=lambda each: each.address.version == 6 and not each.link_local):
        first.setdefault((each.interface, each.address.version), each)
    return [str(each.address.ip) for each in first.values()]


def nearest_first(hosts: Iterable[str], own: Sequence[OwnAddress] | None = None) -> list[str]:
    """Another host's addresses: those of a network of ours first, those that are our own last.

    Hosts announce the addresses of all of their networks, that of their Docker too, which is this host's own there.
    """
    own = own_addresses() if own is None else own
    hosts = list(hosts)
    ours = {str(each.address.ip) for each in own}
    here = all(host in ours for host in hosts)

    def rank(host: str) -> tuple[bool, bool, bool]:
        ip = ipaddress.ip_address(host.partition("%")[0])
        near = any(ip in each.address.network for each in own)
        return host in ours and not here, not near, ip.is_link_local

    return sorted(hosts, key=rank)


def _rank(own: OwnAddress) -> tuple[bool, bool, int, bool, bytes]:
    return own.loopback, not own.multicast, own.address.version, own.link_local, own.address.ip.packed


def _unfit() -> set[tuple[str, object]]:
    """(interface, address) of the IPv6 addresses that nobody should be told."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:  # a kernel without IPv6
        return set()
    fields = [line.split() for line in lines]
    return {(f[5], ipaddress.IPv6Address(int(f[0], 16))) for f in fields if int(f[4], 16) & _UNFIT}


def _is_port(interface: str) -> bool:
    """Whether it is plugged into a bridge, as each container's is: the bridge has the addresses."""
    return Path("/sys/class/net", interface, "brport").exists()


def _flags(interface: str) -> int:
    """The flags of an interface, by the kernel; 0 for one that is gone. Other systems than Linux list what is up."""
    if sys.platform != "linux":
        return _IFF_UP | _IFF_MULTICAST
    import fcntl  # Windows has none

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking, _SIOCGIFFLAGS, struct.pack("16sH14x", os.fsencode(interface)[:15], 0))
        except OSError:
            return 0
    return int(struct.unpack("16xH14x", answer)[0])
