"""A tracker and an agent as programs on hosts of their own, in networks of each kind: found, reached, joined."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.agent_process import AgentProcess, without_tvm
from tests.support.farm_command import environment, farm_command
from tests.support.lan import MISSING, Lan
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

TRACKER = "from tvm_farm.tracker.cli import tracker; tracker()"


@pytest.fixture
def lan() -> Iterator[Lan]:
    with Lan() as lan:
        yield lan


@contextlib.contextmanager
def serving(lan: Lan, folder: Path) -> Iterator[Path]:
    """A tracker of the farm "lab" on the server; its endpoint.json."""
    command = [sys.executable, "-c", TRACKER, "start", "--farm", "lab", "--workers", "0", "--metrics-port", "0"]
    log, endpoint = folder / "tracker.log", folder / "tracker" / "endpoint.json"
    with log.open("ab") as output:
        process = subprocess.Popen(
            lan.at(lan.server, *command, "--state", str(folder / "tracker")),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
    try:
        wait_until(lambda: process.poll() is not None or endpoint.exists(), "serving tracker")
        assert process.poll() is None, log.read_text()
        yield endpoint
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def run_farm(lan: Lan) -> Callable[..., Awaitable[str]]:
    """``farm`` on the desk: what it answers."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            lan.at(lan.desk, *farm_command(*arguments)),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), (done.stdout, done.stderr)
        return done.stdout

    return functools.partial(asyncio.to_thread, run)


def board(lan: Lan, folder: Path, *options: str, **environ: str) -> AgentProcess:
    return AgentProcess("start", "--state", str(folder / "agent"), *options, inside=lan.at(lan.desk), **environ)


async def test_a_network_with_ipv6_alone_that_comes_after_the_tracker(
    lan: Lan, tmp_path: Path, run_farm: Callable[..., Awaitable[str]]
) -> None:
    """By addresses of the link alone, as without a router. TVM's runtime comes over it."""
    for host in (lan.server, lan.desk):
        lan.ip(host, "address", "flush", "dev", "lo")
        lan.ip(host, "address", "add", "::1/128", "dev", "lo")
    with serving(lan, tmp_path) as endpoint:
        told = json.loads(endpoint.read_text())
        assert (told["addresses"], told["address"][:6]) == (["[::1]:9195"], "[::1]:")
        assert told["metrics"].startswith("http://[::1]:")
        async with board(lan, tmp_path, **without_tvm(tmp_path / "bare")) as agent:
            await agent.says("no mDNS answer from a tracker|mDNS is not possible here")
            for host in (lan.server, lan.desk):
                lan.up(host)
            await agent.says(r"found farm lab at \[fe80::[0-9a-f:]+%eth0\]:9195 by mDNS", within_s=60)
            await agent.says("full mode with TVM", within_s=60)
            await agent.says("joined farm lab", within_s=60)
            [device] = json.loads(await run_farm("devices", "--json"))
            assert device["state"] == "idle"
        [address, _] = json.loads(endpoint.read_text())["addresses"]
        assert address.startswith("[fe80::")
        assert address.endswith("%eth0]:9195")
        # The same by a person's hand, and by what this host calls its interface.
        await run_farm("--tracker", address.removesuffix(":9195"), "devices")
        await run_farm("--mdns-interface", "eth0", "devices")


async def test_of_ipv6_and_ipv4_one_that_leads_nowhere_costs_no_time(
    lan: Lan, tmp_path: Path, run_farm: Callable[..., Awaitable[str]]
) -> None:
    """And a client that has Docker itself does not take its own 172.17.0.1 for the tracker's."""
    lan.up(lan.server, "192.168.50.1/24", "2001:db8:9::1/64")
    lan.up(lan.desk, "192.168.50.2/24", "2001:db8:9::2/64")
    lan.ip(lan.desk, "-6", "neighbour", "replace", "2001:db8:9::1", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
    for host in (lan.server, lan.desk):
        lan.docker(host)
    with serving(lan, tmp_path) as endpoint:
        assert {"172.17.0.1:9195", "192.168.50.1:9195", "[2001:db8:9::1]:9195"} < {
            *json.loads(endpoint.read_text())["addresses"]
        }
        assert "%veth1]" not in endpoint.read_text()
        await run_farm("devices", "--json")
        async with board(lan, tmp_path, "--runner", "synthetic") as agent:
            await agent.says("joined farm lab")
        # The server has another address from now on, as after a new lease of DHCP.
        lan.ip(lan.server, "address", "add", "192.168.50.9/24", "dev", "eth0")
        lan.ip(lan.server, "address", "delete", "192.168.50.1/24", "dev", "eth0")
        lan.ip(lan.server, "address", "replace", "192.168.50.9/24", "dev", "eth0")
        await asyncio.to_thread(wait_until, lambda: "192.168.50.9" in endpoint.read_text(), "the new address")
        await run_farm("devices", "--json")


async def test_a_host_without_ipv6(lan: Lan, tmp_path: Path, run_farm: Callable[..., Awaitable[str]]) -> None:
    for host, address in ((lan.server, "10.1.2.1/24"), (lan.desk, "10.1.2.2/24")):
        lan.sysctl(host, "net.ipv6.conf.all.disable_ipv6=1")
        lan.up(host, address)
        # A VPN, which sends to nobody at once.
        lan.ip(host, "tuntap", "add", "tun0", "mode", "tun")
        lan.ip(host, "address", "add", "10.8.0.1/24", "dev", "tun0")
        lan.ip(host, "link", "set", "tun0", "up")
    with serving(lan, tmp_path) as endpoint:
        its = json.loads(endpoint.read_text())["addresses"]
        assert its == ["10.1.2.1:9195", "10.8.0.1:9195", "127.0.0.1:9195"]
        await run_farm("devices", "--json")
        async with board(lan, tmp_path, "--runner", "synthetic") as agent:
            await agent.says("joined farm lab")
