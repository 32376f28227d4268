"""A host of its own behind a cable: a network namespace and a veth pair, whose near end is in this one's network."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from types import TracebackType

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

_numbers = itertools.count()


class Cable:
    """``with Cable() as cable``: ``near`` is this end's address, ``far`` the other's, who knows no other network."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.namespace = f"tvmfarm-{os.getpid()}-{number}"
        self._link = f"tf{os.getpid()}-{number}"  # 15 characters at most
        # RFC 2544 keeps 198.18.0.0/15 for test networks: a /30 each.
        block = (os.getpid() * 8 + number) % (1 << 15)
        first = (198 << 24 | 18 << 16) + 4 * block
        self.near, self.far = (_dotted(first + host) for host in (1, 2))

    def __enter__(self) -> Cable:
        _ip("netns", "add", self.namespace)
        try:
            _ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
            _ip("address", "add", f"{self.near}/30", "dev", self._link)
            _ip("link", "set", self._link, "up")
            _ip("-n", self.namespace, "address", "add", f"{self.far}/30", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", self.namespace, "link", "set", device, "up")
            _ip("-n", self.namespace, "route", "add", "default", "via", self.near)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def cut(self) -> None:
        """Nothing passes, and nobody is told: no packet says that the other end is away."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")

    def mend(self) -> None:
        _ip("-n", self.namespace, "link", "set", "eth0", "up")
        _ip("-n", self.namespace, "route", "replace", "default", "via", self.near)  # went with the link

    def command(self, *argv: str) -> list[str]:
        """What runs ``argv`` at the far end, in the same process."""
        return ["ip", "netns", "exec", self.namespace, *argv]

    def _remove(self) -> None:
        _ip("netns", "delete", self.namespace)
        # The namespace lives on while a process is in it, and the link with it.
        subprocess.run(["ip", "link", "delete", self._link], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def _dotted(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
