"""Addresses as people write them, and as gRPC takes them."""

from __future__ import annotations

import ipaddress
import re
import socket

__all__ = ["DEFAULT_PORT", "grpc_target", "is_interface", "joined", "parse_address", "split_address"]

DEFAULT_PORT = 9195


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> str:
    """``host``, ``host:port``, ``[ipv6]`` or ``[ipv6]:port`` as host:port. An IPv6 address of a link names its
    interface: ``[fe80::1%eth0]``.

    Raises ValueError, whose text is a clause that quotes ``text`` and says how to write one.
    """
    matched = re.fullmatch(r"(?:\[([^\s\[\]]+)\]|([^\s:/\[\]]+))(?::(\d{1,5}))?", text.strip())
    host = (matched[1] or matched[2]) if matched else ""
    if not matched or (matched[1] and not _is_ipv6(host)):
        raise ValueError(
            f"{text!r} is not an address: give HOST or HOST:PORT, for example farm.local:{default_port}; "
            "an IPv6 address goes in brackets"
        )
    port = int(matched[3] or default_port)
    if not 0 < port < 65536:
        raise ValueError(f"{text!r} is not an address: in HOST:PORT a port is a number from 1 to 65535")
    return joined(host, port)


def joined(host: str, port: int) -> str:
    """host:port, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of what ``joined`` gave, the host without brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def grpc_target(address: str) -> str:
    """A host:port as gRPC's name of a channel's end, where the mark of an interface is escaped."""
    return f"ipv6:{address.replace('%', '%25')}" if address.startswith("[") else address


def is_interface(text: str) -> bool:
    """Whether ``text`` names an interface for mDNS: by an address that it has, or as this host calls it."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return text in {name for _, name in socket.if_nameindex()}
    return True


def _is_ipv6(text: str) -> bool:
    host, mark, interface = text.partition("%")
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return bool(interface) == bool(mark)
