"""Two hosts of their own in one network, with the addresses that a test gives them: network namespaces."""

from __future__ import annotations

import os
import secrets
import subprocess
from types import TracebackType

from tests.support.cable import MISSING

__all__ = ["MISSING", "Lan"]


class Lan:
    """``with Lan() as lan``: a server and a desk whose ``eth0`` are one link, down and without an address.

    ``ip`` changes a host. IPv6 addresses are used at once: the kernel does not look first whether another host has it.
    """

    def __init__(self) -> None:
        mark = secrets.token_hex(4)
        self.server, self.desk = f"tvmfarm-{mark}-server", f"tvmfarm-{mark}-desk"

    def __enter__(self) -> Lan:
        try:
            for host in (self.server, self.desk):
                _run("ip", "netns", "add", host)
            peer = ("peer", "name", "eth0", "netns", self.desk)
            _run("ip", "-n", self.server, "link", "add", "eth0", "type", "veth", *peer)
            for host in (self.server, self.desk):
                self.ip(host, "link", "set", "lo", "up")
                self.sysctl(host, "net.ipv6.conf.eth0.accept_dad=0")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def ip(self, host: str, *arguments: str) -> None:
        _run("ip", "-n", host, *arguments)

    def sysctl(self, host: str, setting: str) -> None:
        _run(*self.at(host, "sysctl", "-qw", setting))

    def up(self, host: str, *addresses: str) -> None:
        """Give ``host`` addresses, each with its prefix, and switch its link on, where IPv6 gives itself another."""
        for address in addresses:
            self.ip(host, "address", "add", address, "dev", "eth0")
        self.ip(host, "link", "set", "eth0", "up")

    def docker(self, host: str) -> None:
        """The network of Docker as every host with it has it, and a container in it."""
        self.ip(host, "link", "add", "docker0", "type", "bridge")
        self.ip(host, "address", "add", "172.17.0.1/16", "dev", "docker0")
        self.ip(host, "link", "set", "docker0", "up")
        self.ip(host, "link", "add", "veth1", "type", "veth", "peer", "name", "veth2")
        self.ip(host, "link", "set", "veth1", "master", "docker0")
        for each in ("veth1", "veth2"):
            self.sysctl(host, f"net.ipv6.conf.{each}.accept_dad=0")
            self.ip(host, "link", "set", each, "up")

    def at(self, host: str, *argv: str) -> list[str]:
        """What runs ``argv`` on ``host``, in the same process."""
        return ["ip", "netns", "exec", host, *argv]

    def _remove(self) -> None:
        for host in (self.server, self.desk):
            subprocess.run(["ip", "netns", "delete", host], capture_output=True, check=False)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
