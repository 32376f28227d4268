"""The way to a device as a person writes it: ``--via``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tvm_farm.agent.runner.adb import AdbTransport
from tvm_farm.agent.runner.shell import ShellTransport
from tvm_farm.agent.runner.ssh import SshTransport

__all__ = ["open_transport", "parse_via"]

# A name that begins with a hyphen would be an option of the program that it is given to.
_SSH = re.compile(
    r"(?P<user>[^\s@:/-][^\s@:/]*@)?(?P<host>[^\s@:\[\]/-][^\s@:\[\]/]*|\[[\w:.%]+\])(:(?P<port>\d{1,5}))?"
)
_ADB = re.compile(r"[^\s-]\S*")


def parse_via(text: str, owner: str = "") -> ShellTransport:
    """The transport that "ssh:[user@]host[:port]" or "adb:SERIAL" names. Raises ValueError."""
    kind, _, rest = text.partition(":")
    if kind == "ssh" and (found := _SSH.fullmatch(rest)):
        port = int(found["port"]) if found["port"] else None
        if port is None or 0 < port < 1 << 16:
            return SshTransport(f"{found['user'] or ''}{found['host'].strip('[]')}", port, owner)
    if kind == "adb" and _ADB.fullmatch(rest):
        return AdbTransport(rest, owner)
    raise ValueError(f"{text!r} names no device: write ssh:user@host, ssh:user@host:port or adb:SERIAL")


@asynccontextmanager
async def open_transport(text: str, owner: str) -> AsyncIterator[ShellTransport]:
    """The transport that ``text`` names, opened for the agent called ``owner``.

    Raises RunnerError, or DeviceAwayError: see ShellTransport.
    """
    transport = parse_via(text, owner)
    try:
        await transport.open()
        yield transport
    finally:
        await transport.close()
