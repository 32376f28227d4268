"""Two hosts of their own and a cable between them: network namespaces, whose near one this host reaches."""

from __future__ import annotations

import ipaddress
import os
import random
import shutil
import subprocess
from types import TracebackType

from emulation.machines import Switch

__all__ = ["MISSING", "Cable"]


def _missing() -> str:
    if shutil.which("ip") is None:
        return "ip is not installed (Debian: iproute2)"
    if os.geteuid() != 0:
        return "only root may make a network namespace that reaches this one"
    tried = ["unshare", "--mount", "--net", "ip", "link", "add", "type", "veth"]
    if shutil.which("unshare") is None or subprocess.run(tried, capture_output=True, check=False).returncode:
        return "this root may make no network namespace with a veth pair (a container without CAP_SYS_ADMIN?)"
    return ""


#: Why there can be none here, "" where there can.
MISSING = _missing()

#: RFC 2544 keeps 198.18.0.0/15 for test networks: a cable has a /28 of each half.
_NETWORKS = 1 << 12


class Cable:
    """``with Cable() as cable``: two hosts that hear each other alone, and of nobody else's mDNS.

    ``near`` is the address of the one that this host reaches too, ``far`` the other's.
    """

    def __init__(self) -> None:
        self._near_host = self._far_host = self._link = self.near = self.far = ""

    def __enter__(self) -> Cable:
        number = self._taken()
        ours, gate = _addresses(198 << 24 | 18 << 16, number)
        self.near, self.far = _addresses(198 << 24 | 19 << 16, number)
        self._link = f"tf{number}"  # 15 characters at most
        try:
            _ip("netns", "add", self._far_host)
            far = ("peer", "name", "eth0", "netns", self._far_host)
            _ip("-n", self._near_host, "link", "add", "eth0", "type", "veth", *far)
            _ip("link", "add", self._link, "type", "veth", "peer", "name", "eth1", "netns", self._near_host)
            for host, device, address in (
                (self._near_host, "eth0", self.near),
                (self._near_host, "eth1", gate),
                (self._far_host, "eth0", self.far),
            ):
                _ip("-n", host, "address", "add", f"{address}/28", "dev", device)
                for each in ("lo", device):
                    _ip("-n", host, "link", "set", each, "up")
            _ip("address", "add", f"{ours}/30", "dev", self._link)
            _ip("link", "set", self._link, "up")
            _ip("route", "add", self.near, "via", gate)
            _ip("-n", self._far_host, "route", "add", "default", "via", self.near)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _taken(self) -> int:
        """The number of a network that no test beside this one has: the name of a namespace is given once."""
        for number in random.sample(range(_NETWORKS), 10):
            self._near_host, self._far_host = (f"tvmfarm-{number}-{end}" for end in ("near", "far"))
            done = subprocess.run(["ip", "netns", "add", self._near_host], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return number
        raise AssertionError(f"no network namespace can be made: {done.stderr}")

    def cut(self) -> None:
        """Nothing passes, and nobody is told: no packet says that the other end is away."""
        _ip("-n", self._far_host, "link", "set", "eth0", "down")

    def mend(self) -> None:
        _ip("-n", self._far_host, "link", "set", "eth0", "up")
        _ip("-n", self._far_host, "route", "replace", "default", "via", self.near)  # went with the link

    def at_near(self, *argv: str) -> list[str]:
        """What runs ``argv`` on the near host, in the same process."""
        return ["ip", "netns", "exec", self._near_host, *argv]

    def at_far(self, *argv: str) -> list[str]:
        """What runs ``argv`` on the far host, in the same process."""
        return ["ip", "netns", "exec", self._far_host, *argv]

    def switch(self) -> Switch:
        """What makes the far host a switch, for whole machines to be plugged in; they get the addresses after its."""
        far = ipaddress.IPv4Interface(f"{self.far}/28")
        return Switch(far, enter=self.at_far(), first=far.ip + 1, uplink="eth0")

    def _remove(self) -> None:
        # A namespace lives on while a process is in it, and the link with it.
        for left in (
            ["link", "delete", self._link],
            ["netns", "delete", self._near_host],
            ["netns", "delete", self._far_host],
        ):
            subprocess.run(["ip", *left], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def _addresses(half: int, number: int) -> tuple[str, str]:
    """The first two of the /28 of that number in ``half`` of the test networks."""
    first, second = (ipaddress.ip_address(half + 16 * number + host) for host in (1, 2))
    return str(first), str(second)
