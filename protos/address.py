"""Addresses as people write them."""

from __future__ import annotations

import ipaddress
import re

from tvm_farm.protos.discovery import DEFAULT_PORT

__all__ = ["is_ipv4", "parse_address"]


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> str:
    """``host``, ``host:port``, ``[ipv6]`` or ``[ipv6]:port`` as host:port, as gRPC takes it.

    Raises ValueError, whose text is a clause that quotes ``text`` and says how to write one.
    """
    matched = re.fullmatch(r"(\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^\s:/\[\]]+)(?::(\d{1,5}))?", text.strip())
    if not matched:
        raise ValueError(
            f"{text!r} is not an address: give HOST or HOST:PORT, for example farm.local:{default_port}; "
            "an IPv6 address goes in brackets"
        )
    port = int(matched[2] or default_port)
    if not 0 < port < 65536:
        raise ValueError(f"{text!r} is not an address: in HOST:PORT a port is a number from 1 to 65535")
    return f"{matched[1]}:{port}"


def is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
