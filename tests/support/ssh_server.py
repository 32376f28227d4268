"""A real ``sshd`` on this machine's loopback, of the user who runs the tests, with keys of its own."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path
from types import TracebackType

import psutil

from tvm_farm.protos.address import joined

__all__ = ["MISSING", "SshServer"]

_SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
#: Why there can be none here, "" where there can.
MISSING = (
    "" if _SSHD and shutil.which("ssh") else "sshd or ssh is not installed (Debian: openssh-server, openssh-client)"
)

_SERVER = """\
ListenAddress {host}
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv HOME={home}
"""

_CLIENT = """\
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile none
IdentityFile {folder}/user_key
IdentitiesOnly yes
"""


class SshServer:
    """``async with SshServer(folder) as device``: one that uses CPU ``cpu`` alone, as a smaller device would.

    ``home`` is its user's folder; ``path`` has a ``ssh`` that knows its keys before all else, so it belongs in PATH.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder, self.host = folder, host
        self.home = folder / "home"
        self.home.mkdir()
        self.cpu = max(os.sched_getaffinity(0))
        self.port = _free_port()
        self.via = f"ssh:{getpass.getuser()}@{joined(host, self.port)}"
        self._process: asyncio.subprocess.Process | None = None
        for name in ("host_key", "user_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name],
                check=True,
                stdin=subprocess.DEVNULL,
            )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks itself in; a boot makes it
        self.know_host()
        (folder / "sshd_config").write_text(_SERVER.format(host=host, port=self.port, folder=folder, home=self.home))
        (folder / "ssh_config").write_text(_CLIENT.format(folder=folder))
        programs = folder / "bin"
        programs.mkdir()
        client = programs / "ssh"
        client.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
        client.chmod(0o755)
        self.path = f"{programs}:{os.environ['PATH']}"

    def know_host(self, known: bool = True) -> None:
        line = f"[{self.host}]:{self.port} {(self.folder / 'host_key.pub').read_text()}"
        (self.folder / "known_hosts").write_text(line if known else "")

    async def __aenter__(self) -> SshServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        assert _SSHD is not None
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("taskset", "-c", str(self.cpu), _SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        deadline = asyncio.get_running_loop().time() + 20
        while not await _answers(self.host, self.port):
            log = (self.folder / "sshd.log").read_text()
            assert self._process.returncode is None, log
            assert asyncio.get_running_loop().time() < deadline, log
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it and every connection, as a cut cable does; what runs on the device learns of it by its pipes."""
        if self._process is None:
            return
        connections = self.connections()
        self._process.kill()
        await self._process.wait()
        for connection in connections:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended with the server
                connection.kill()
        self._process = None

    def connections(self) -> list[psutil.Process]:
        """The server's own processes, one or two a connection."""
        assert self._process is not None
        found = []
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "sshd":
                    found.append(process)
        return found

    def runners(self) -> list[psutil.Process]:
        """The runners on the device, kernels at hand included."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or [""]
            if command[0].startswith(str(self.home)):
                found.append(process)
        return found


async def _answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
