"""A device behind ``ssh``: one connection of OpenSSH's own program, shared by all that is done there."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import shutil
import tempfile
from pathlib import Path

from tvm_farm.agent.runner.contract import RunnerError
from tvm_farm.agent.runner.shell import ShellTransport
from tvm_farm.agent.runner.transport import DeviceAwayError

__all__ = ["SshTransport"]

_CONNECT_WITHIN_S = 30.0
_OPTIONS = (
    "-T",
    *("-o", "BatchMode=yes"),  # a service has nobody to ask for a password
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "LogLevel=ERROR"),
)
# A cut cable says nothing: three questions without an answer end the connection.
_MASTER = ("-M", "-o", "ControlPersist=no", "-o", "ConnectTimeout=10", *("-o", "ServerAliveInterval=5"))
# Without the connection that it shares, a session shall fail and not make one of its own.
_SHARED = ("-o", "ControlMaster=no", "-o", "ProxyCommand=false")

# A name that begins with a hyphen would be an option of the program that it is given to.
_DESTINATION = re.compile(
    r"(?P<user>[^\s@:/-][^\s@:/]*@)?(?P<host>[^\s@:\[\]/-][^\s@:\[\]/]*|\[[\w:.%-]+\])(:(?P<port>\d{1,5}))?"
)


class SshTransport(ShellTransport):
    """``destination`` as ``ssh`` takes it: what its configuration says of it, keys and jump hosts, holds here too."""

    forms = ("ssh:user@host", "ssh:user@host:port")

    @classmethod
    def named(cls, rest: str, owner: str) -> SshTransport | None:
        found = _DESTINATION.fullmatch(rest)
        port = int(found["port"]) if found and found["port"] else None
        if found is None or not (port is None or 0 < port < 1 << 16):
            return None
        return cls(f"{found['user'] or ''}{found['host'].strip('[]')}", port, owner)

    def __init__(self, destination: str, port: int | None, owner: str) -> None:
        super().__init__(f"ssh:{destination}{f':{port}' if port else ''}", owner)
        self._to = [*(("-p", str(port)) if port else ()), "--", destination]
        self._folder_here: Path | None = None
        self._master: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._last_words = ""

    async def open(self) -> None:
        # Not under TMPDIR: a socket's path may have 100 characters.
        try:
            self._folder_here = Path(tempfile.mkdtemp(prefix="tvm-farm-ssh-", dir="/tmp"))
        except OSError as error:
            raise DeviceAwayError(f"{self.name}: no folder can be made in /tmp here: {error.strerror}") from error
        await self._connect()
        await super().open()

    async def close(self) -> None:
        if self._master is not None and self._master.stdin is not None and self._listening is not None:
            if self._master.returncode is None:
                await super().close()
            self._master.stdin.close()  # what it runs there reads to the end of it
            try:
                await asyncio.wait_for(self._master.wait(), 5)
            except asyncio.TimeoutError:
                self._master.kill()
                await self._master.wait()
            await self._listening
            with contextlib.suppress(ConnectionError):
                await self._master.stdin.wait_closed()
        if self._folder_here is not None:
            shutil.rmtree(self._folder_here, ignore_errors=True)

    async def _connect(self) -> None:
        pipe = asyncio.subprocess.PIPE
        # It ends with its input, so with this process, however that ends.
        there = f"sh -c {shlex.quote('echo up; exec cat')}"
        command = ["ssh", *_MASTER, *_OPTIONS, "-S", self._socket, *self._to, there]
        try:
            self._master = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            remedy = "install openssh-client"
            raise RunnerError(f"cannot start ssh to reach {self.name} ({error.strerror}): {remedy}") from error
        assert self._master.stdout is not None
        assert self._master.stderr is not None
        self._listening = asyncio.create_task(self._listen(self._master.stderr))
        try:
            greeting = await asyncio.wait_for(self._master.stdout.readline(), _CONNECT_WITHIN_S)
        except asyncio.TimeoutError:
            raise DeviceAwayError(f"{self.name} gave no shell within {_CONNECT_WITHIN_S:g} s") from None
        if greeting.strip() != b"up":
            if greeting:
                said = greeting.decode("utf-8", "replace").strip()
                raise RunnerError(f"{self.name} gives no shell, but says: {said}")
            await self._master.wait()
            await self._listening
            raise self._fault("")

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while said := await stream.read(4096):
            self._last_words = (self._last_words + said.decode("utf-8", "replace"))[-2000:]

    @property
    def _socket(self) -> str:
        return f"{self._folder_here}/s"

    def _command(self, script: str) -> list[str]:
        return ["ssh", *_SHARED, *_OPTIONS, "-S", self._socket, *self._to, script]

    def _fault(self, said: str) -> RunnerError:
        words = self._last_words.strip() or said
        by_hand = shlex.join(["ssh", *(part for part in self._to if part != "--")])
        if "HOST IDENTIFICATION HAS CHANGED" in words:
            return RunnerError(
                f"{self.name} has another host key than the one known here: if it was set up anew, "
                f"`ssh-keygen -R HOST` forgets the old one, then connect once by hand: {by_hand}"
            )
        if "Host key verification failed" in words:
            return RunnerError(f"the host key of {self.name} is not known here: connect once by hand: {by_hand}")
        if "Permission denied" in words:
            copy = by_hand.replace("ssh", "ssh-copy-id", 1)
            return RunnerError(
                f"{self.name} refuses the keys of this user: {copy} brings one there, for the user that runs the agent"
            )
        last = re.sub(r"^ssh: ", "", words.splitlines()[-1].strip()) if words else "the connection was lost"
        return DeviceAwayError(f"{self.name} cannot be reached: {last}")
