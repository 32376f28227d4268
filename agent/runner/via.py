"""The way to a device as a person writes it: ``--via``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tvm_farm.agent.runner.adb import AdbTransport
from tvm_farm.agent.runner.shell import ShellTransport
from tvm_farm.agent.runner.ssh import SshTransport

__all__ = ["FORMS", "open_transport", "parse_via"]

_KINDS: dict[str, type[ShellTransport]] = {"ssh": SshTransport, "adb": AdbTransport}
_forms = [form for kind in _KINDS.values() for form in kind.forms]
#: What may be written.
FORMS = f"{', '.join(_forms[:-1])} or {_forms[-1]}"


def parse_via(text: str, owner: str = "") -> ShellTransport:
    """The transport that one of FORMS names. Raises ValueError."""
    kind, _, rest = text.partition(":")
    transport = _KINDS[kind].named(rest, owner) if kind in _KINDS else None
    if transport is None:
        raise ValueError(f"{text!r} names no device: write {FORMS}")
    return transport


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
