"""A laboratory's network for whole machines: a bridge with an address, DHCP, and a socket for each machine."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from emulation.host import EmulationError

__all__ = ["Switch", "own_network"]

_LEASE = "1h"


class Switch:
    """``with Switch(…) as switch``: a bridge in the network namespace that ``enter`` goes into.

    ``address`` is its own there, with its network; machines get the ones after it, from ``first`` on. ``uplink`` is a
    link of that namespace which becomes a part of the network.
    """

    def __init__(
        self,
        address: ipaddress.IPv4Interface,
        *,
        enter: Sequence[str] = (),
        first: ipaddress.IPv4Address,
        uplink: str = "",
    ) -> None:
        self.enter = tuple(enter)
        self.address = address
        self._first = first
        self._uplink = uplink
        self._taps = 0
        self._folder = Path()
        self._dhcp: subprocess.Popen[bytes] | None = None

    @property
    def leases(self) -> Path:
        """dnsmasq's file of who has which address."""
        return self._folder / "leases"

    def __enter__(self) -> Switch:
        self._folder = Path(tempfile.mkdtemp(prefix="tvm-farm-switch-"))
        # Without snooping every group's packets reach every machine, as on a switch that knows nothing of multicast.
        self._ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        if self._uplink:
            self._ip("address", "flush", "dev", self._uplink)
            self._ip("link", "set", self._uplink, "master", "br0")
        self._ip("address", "add", str(self.address), "dev", "br0")
        for each in ("lo", "br0"):
            self._ip("link", "set", each, "up")
        last = self.address.network.broadcast_address - 1
        options = ["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--group=root"]
        options += ["--interface=br0", "--bind-interfaces", f"--dhcp-leasefile={self.leases}"]
        options += [f"--dhcp-range={self._first},{last},{_LEASE}", "--dhcp-authoritative", "--no-ping", "--pid-file"]
        options += [f"--dhcp-option=option:router,{self.address.ip}", f"--log-facility={self._folder}/log"]
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        self._dhcp = subprocess.Popen(
            [*self.enter, "dnsmasq", *options], stdin=subprocess.DEVNULL, env={**os.environ, "PATH": path}
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._dhcp is not None:
            self._dhcp.send_signal(signal.SIGTERM)
            self._dhcp.wait(timeout=20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def tap(self) -> str:
        """A new socket for a machine, which is a link of this namespace."""
        name = f"tap{self._taps}"
        self._taps += 1
        self._ip("tuntap", "add", name, "mode", "tap")
        self._ip("link", "set", name, "master", "br0", "up")
        return name

    def cut(self, tap: str) -> None:
        """Nothing passes any more, and nobody is told."""
        self._ip("link", "set", tap, "nomaster")

    def mend(self, tap: str) -> None:
        self._ip("link", "set", tap, "master", "br0")

    def wait_for_lease(self, mac: str, timeout_s: float) -> str:
        """The address that the machine with this adapter was given. Raises EmulationError where it asks for none."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for line in self.leases.read_text().splitlines() if self.leases.exists() else ():
                _, adapter, address, *_ = line.split()
                if adapter == mac:
                    return address
            time.sleep(0.1)
        raise EmulationError(f"the machine with adapter {mac} has asked for no address in {timeout_s:.0f} s")

    def _ip(self, *arguments: str) -> None:
        done = subprocess.run([*self.enter, "ip", *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise EmulationError(
                f"the machines' network cannot be made: ip {' '.join(arguments)}: {done.stderr.strip()}"
            )


@contextmanager
def own_network() -> Iterator[Switch]:
    """A switch in a network of this process alone, which reaches nothing else from now on. Needs root."""
    new_network = 0x40000000  # CLONE_NEWNET
    if ctypes.CDLL(None, use_errno=True).unshare(new_network) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise EmulationError(f"this process may have no network of its own: {reason}")
    address = ipaddress.IPv4Interface("198.18.0.1/28")  # RFC 2544 keeps it for tests
    with Switch(address, first=address.ip + 1) as switch:
        yield switch
