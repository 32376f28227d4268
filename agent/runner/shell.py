"""A device behind a shell, which some command leads to: files, programs and answers go by that shell alone."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import hashlib
import secrets
import shlex
import signal
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tvm_farm.agent.runner.contract import RunnerError
from tvm_farm.agent.runner.transport import DeviceAwayError, Process

__all__ = ["ShellTransport"]

_ANSWER_WITHIN_S = 60.0
#: The same for a question at the end of something, when the device may well be gone.
_LAST_ANSWER_WITHIN_S = 10.0
_PIECE = 1 << 20
#: The files of trials that stay on the device: those of the trial at hand and some more, since a model's parameters
#: serve many trials.
_KEPT_FILES, _KEPT_BYTES = 16, 256 << 20

#: The digests that are kept of files whose content was read: parameters are large, and their trials many.
_KNOWN_DIGESTS = 64

#: Finds the first folder that can be written and may hold programs. A chmod fails on a folder that another user made.
#: A runner that an earlier agent of the same name left behind is ended: its connection may hang for hours.
_OPEN = """
umask 077
set -- "$HOME/.cache/tvm-farm" "/tmp/tvm-farm-$(id -u)"
[ -d /data/local/tmp ] && set -- /data/local/tmp/tvm-farm "$@"
for home do
  mkdir -p "$home/lasting" "$home/{owner}" 2>/dev/null && chmod 700 "$home" "$home/{owner}" 2>/dev/null || continue
  : > "$home/{owner}/probe" && chmod 700 "$home/{owner}/probe" && [ -x "$home/{owner}/probe" ] && break
  home=
done
[ -n "$home" ] || {{ echo "no folder there can be written and may hold programs" >&2; exit 1; }}
for file in "$home"/*/pid; do
  [ -e "$file" ] || continue
  pid=$(cat "$file")
  grep -q tvm-farm-runner "/proc/$pid/cmdline" 2>/dev/null || continue
  case $file in
    "$home/{owner}/pid") {kill} ;;
    *) echo "another agent works with it (process $pid there)" >&2; exit 1 ;;
  esac
done
rm -rf "$home/{owner}"/*
find "$home/lasting" -type f -mtime +60 -exec rm -f {{}} + 2>/dev/null
echo "$home"
"""

#: Kills the runner and its children's process groups: a kernel, and what it may have started.
_KILL = 'kill -9 "$pid" $(for child in $(cat /proc/$pid/task/*/children 2>/dev/null); do echo "-$child"; done)'

#: Without job control a shell gives what it starts in the background no input, unless by another descriptor.
_SPAWN = """
cd {folder} || exit
exec 3<&0
{command} <&3 3<&- &
echo $! > pid
wait $!
echo $? > ended-{token}
"""


class ShellTransport(abc.ABC):
    """The way to a device that has a POSIX shell and the everyday tools beside it, and needs nothing else.

    ``owner`` names the agent: what an agent left on the device is its own to clear away, and a device serves one agent
    at a time. Files lie in a folder of the user's there; what is installed outlives the agent. ``name`` is what errors
    call the device. ``open`` comes before anything else, ``close`` at the end. Every other method may raise
    DeviceAwayError.
    """

    here = False
    #: How a person names such a device: ``ssh:user@host``.
    forms: ClassVar[tuple[str, ...]]

    @classmethod
    @abc.abstractmethod
    def named(cls, rest: str, owner: str) -> ShellTransport | None:
        """The way to the device that is written with ``rest`` behind the colon; None where that names none."""

    def __init__(self, name: str, owner: str) -> None:
        self.name = name
        self._owner = owner
        self._home = ""
        self._put: OrderedDict[str, int] = OrderedDict()  # name there -> bytes, longest unused first
        self._installed: set[str] = set()
        self._digests: dict[tuple[Path, int, int], str] = {}

    @abc.abstractmethod
    def _command(self, script: str) -> list[str]:
        """The program here that runs ``script`` in the device's shell, the three streams carried as they are."""

    @abc.abstractmethod
    def _fault(self, said: str) -> RunnerError:
        """Why the way to the device failed, from the last words of the program that led there."""

    async def open(self) -> None:
        """Take the device. Raises RunnerError where no agent can work there before a person has mended something."""
        try:
            self._home = (await self.ask(_OPEN.format(owner=self._owner, kill=_KILL))).decode().strip()
        except OSError as error:
            raise RunnerError(f"{self.name} cannot be used: {error}") from error

    async def close(self) -> None:
        """Clear away what was put there, as far as the device can be reached still."""
        if self._home:
            with contextlib.suppress(OSError, RunnerError):
                await self.ask(f"rm -rf {shlex.quote(self._folder)}", within_s=_LAST_ANSWER_WITHIN_S)

    async def ask(self, script: str, sent: bytes = b"", within_s: float = _ANSWER_WITHIN_S) -> bytes:
        """What ``script`` writes to its standard output, given ``sent`` as its input.

        Raises OSError with the script's complaint where it fails, DeviceAwayError where it did not come to its end.
        """
        token = secrets.token_hex(8)
        # A program on the way has exit statuses of its own: only the device's shell knows this word.
        process = await self.start(f"({script}\n)\necho {token} $?")
        try:
            said, complaint = await asyncio.wait_for(process.communicate(sent), within_s)
        except asyncio.TimeoutError:
            raise DeviceAwayError(f"{self.name} did not answer within {within_s:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        words = complaint.decode("utf-8", "replace").strip()
        answer, found, status = said.rpartition(f"{token} ".encode())
        if not found:
            raise self._fault(words)
        if int(status):
            raise OSError(words or f"its shell ended with {int(status)}")
        return answer

    async def put(self, path: Path) -> str:
        name = f"{self._digest(path)}{path.suffix}"
        there = f"{self._folder}/{name}"
        if name not in self._put:
            self._put[name] = await self._push(path, there)
            await self._forget()
        self._put.move_to_end(name)
        return there

    async def install(self, path: Path, folder: str = "") -> str:
        digest = self._digest(path)
        there = f"{self._home}/lasting/{folder}/{path.name}" if folder else f"{self._home}/lasting/{digest}-{path.name}"
        if there not in self._installed:
            quoted = shlex.quote(there)
            # Verified each time: a device may have lost power while writing.
            whole = f'[ "$(sha256sum < {quoted} | cut -c 1-64)" = {digest} ]'
            if folder:
                await self.ask(f"umask 077; mkdir -p {shlex.quote(f'{self._home}/lasting/{folder}')}")
            if not await self.ask(f"[ -e {quoted} ] && {whole} && touch {quoted} && echo yes || true"):
                await self._push(path, there)
                await self.ask(f"{whole} || {{ rm -f {quoted}; echo it arrived damaged >&2; false; }}")
            self._installed.add(there)
        return there

    async def spawn(self, argv: Sequence[str]) -> Process:
        token = secrets.token_hex(8)
        script = _SPAWN.format(folder=shlex.quote(self._folder), command=shlex.join(argv), token=token)
        return _RemoteProcess(self, await self.start(script), shlex.quote(f"{self._folder}/ended-{token}"))

    async def end(self) -> None:
        """Kill the program that was spawned last, and what it started."""
        folder = shlex.quote(self._folder)
        with contextlib.suppress(OSError):  # it ended by itself
            end = f"pid=$(cat {folder}/pid) && grep -q tvm-farm-runner /proc/$pid/cmdline && {_KILL}"
            await self.ask(end, within_s=_LAST_ANSWER_WITHIN_S)

    async def start(self, script: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        command = self._command(f"exec sh -c {shlex.quote(script)}")
        try:
            # A session of its own: Ctrl-C in the agent's terminal lets it drain instead of cutting it off.
            return await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            raise RunnerError(f"cannot start {command[0]} to reach {self.name}: {error.strerror}") from error

    async def _push(self, path: Path, there: str) -> int:
        """Copy the file ``path`` to ``there``; how many bytes it has."""
        data = await asyncio.to_thread(path.read_bytes)
        to, unfinished = shlex.quote(there), shlex.quote(f"{there}.new")
        await self.ask(
            f"umask 077; cat > {unfinished} && [ $(wc -c < {unfinished}) = {len(data)} ] "
            f"&& chmod 700 {unfinished} && mv {unfinished} {to}",
            data,
            _ANSWER_WITHIN_S + len(data) / _PIECE,  # a megabyte a second, and be it by Wi-Fi
        )
        return len(data)

    async def _forget(self) -> None:
        old = []
        while len(self._put) > 1 and (len(self._put) > _KEPT_FILES or sum(self._put.values()) > _KEPT_BYTES):
            old.append(f"{self._folder}/{self._put.popitem(last=False)[0]}")
        if old:
            await self.ask(f"rm -f {shlex.join(old)}")

    def _digest(self, path: Path) -> str:
        status = path.stat()
        known = (path, status.st_mtime_ns, status.st_size)
        if known not in self._digests:
            if len(self._digests) >= _KNOWN_DIGESTS:
                self._digests.clear()
            self._digests[known] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self._digests[known]

    @property
    def _folder(self) -> str:
        return f"{self._home}/{self._owner}"


class _RemoteProcess:
    """A program that was spawned on the device, and the process here that carries its streams."""

    def __init__(self, transport: ShellTransport, way: asyncio.subprocess.Process, status: str) -> None:
        self._transport = transport
        self._way = way
        self._status = status
        self._ending: asyncio.Task[None] | None = None
        self._ended_with: int | None = None
        self.stdin, self.stdout, self.stderr = way.stdin, way.stdout, way.stderr

    @property
    def pid(self) -> int:
        return self._way.pid

    async def wait(self) -> int:
        if self._ending is not None:
            await self._ending
        await self._way.wait()
        if self._ended_with is None:
            try:
                status = int(await self._transport.ask(f"cat {self._status}", within_s=_LAST_ANSWER_WITHIN_S))
            except OSError as error:
                raise DeviceAwayError(f"the connection to {self._transport.name} was lost") from error
            self._ended_with = 128 - status if 128 < status < 128 + signal.NSIG else status
        return self._ended_with

    def kill(self) -> None:
        if self._way.returncode is not None:
            raise ProcessLookupError
        self._ending = self._ending or asyncio.create_task(self._end())

    async def _end(self) -> None:
        with contextlib.suppress(RunnerError):
            await self._transport.end()
        # The process here may be left over: a program that outlived its kernel's end has no reader any more.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._way.wait(), 5)
        with contextlib.suppress(ProcessLookupError):
            self._way.kill()
