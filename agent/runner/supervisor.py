"""The native runner as the agent sees it: started, asked, cancelled, and replaced when it dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from tvm_farm.agent.clock import steady_unix_s
from tvm_farm.agent.runner import protocol
from tvm_farm.agent.runner.connection import Connection, RunnerDiedError
from tvm_farm.agent.runner.contract import LocalRequest, RunnerError, RunReport
from tvm_farm.agent.runner.libraries import CLibrary, RuntimeLibraries
from tvm_farm.agent.runner.transport import LocalTransport, Transport
from tvm_farm.protos.device import RunnerInfo, RunnerMode
from tvm_farm.protos.measurement import Outcome

__all__ = ["NativeRunner"]

log = logging.getLogger("agent.runner")

#: The silence, past a trial's limit, after which the runner is taken for dead. The runner itself ends what loads for
#: 60 s or runs past its limit.
_SILENCE_S = 120.0
_TRIES = 2
#: The largest frame that is sent ahead. A larger frame would, while the runner reads it, keep the memory busy that a
#: kernel is timed on.
_AHEAD_BYTES = 16 << 10


class NativeRunner:
    """The program ``executable``, with TVM's ``libraries`` or, in micro mode, without. See Runner.

    A runner that dies is started again, and its trial tried once more; a trial that two runners die of has crashed.

    ``threads``: how many a parallel kernel gets; None or 0: as many as TVM would take, the CPUs that this process may
    use with little cores left out. ``libc``: a C library in place of the device's own. ``cpus``: the CPUs to run on;
    empty for all.
    """

    def __init__(
        self,
        executable: Path,
        libraries: RuntimeLibraries | None,
        threads: int | None = None,
        transport: Transport | None = None,
        libc: CLibrary | None = None,
        cpus: Sequence[int] = (),
    ) -> None:
        self._cpus = ",".join(map(str, cpus))
        self._executable = executable
        self._libraries = libraries
        self._threads = threads
        self._transport = transport or LocalTransport()
        self._libc = libc
        self._connection: Connection | None = None
        #: The sequence of the frame that was made last.
        self._sequence = 0
        #: The sequence of the trial at hand, once it is sent.
        self._at_hand = 0
        #: The sequence of each trial that waits in the runner, or has begun there, by trial id.
        self._ahead: dict[str, int] = {}
        self._sending = asyncio.Lock()
        self._running = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._cancelled = False

    async def start(self) -> RunnerInfo:
        connection = await self._connect()
        hello = connection.hello
        libraries = self._libraries if hello.mode is RunnerMode.FULL else None
        return RunnerInfo(
            mode=hello.mode,
            protocol_version=hello.version,
            tvm_version=libraries.tvm_version if libraries else "",
            tvm_ffi_version=(libraries.tvm_ffi_version if libraries else "") or hello.tvm_ffi_version,
            threads=hello.threads,
            target_kinds=("llvm",),
        )

    async def equip(self, libraries: RuntimeLibraries | None) -> RunnerInfo:
        """Go on with other ``libraries``, None for micro mode, once the trial at hand has ended.

        Raises RunnerError where the program does not start with them; the runner then goes on with those before.
        """
        await self._idle.wait()
        async with self._sending:
            before, self._libraries = self._libraries, libraries
            try:
                return await self.start()
            except BaseException:
                self._libraries = before
                raise

    @property
    def libraries(self) -> RuntimeLibraries | None:
        """The libraries that the program runs with; None in micro mode."""
        return self._libraries

    @property
    def pid(self) -> int | None:
        """The id of the runner's process; None while there is none."""
        return self._connection.process.pid if self._connection else None

    async def run(self, request: LocalRequest) -> RunReport:
        if self._running:
            raise RunnerError("a runner was asked for two trials at once")
        self._running, self._cancelled = True, False
        self._idle.clear()
        try:
            return await self._run(request)
        except asyncio.CancelledError:
            # Nobody waits for the answer any more. A runner that went on would give it to the next request.
            await self.stop()
            raise
        finally:
            self._running = False
            self._idle.set()

    async def _run(self, request: LocalRequest) -> RunReport:
        silence_s = request.request.limits.run_timeout_s + _SILENCE_S
        died: RunnerDiedError | None = None
        for _ in range(_TRIES):
            async with self._sending:
                try:
                    frame = await self._frame(request)
                except protocol.RequestError as error:
                    return RunReport(Outcome.RUN_ERROR, str(error))
                connection = self._connection or await self._connect()
            if self._cancelled:
                if not frame:
                    connection.withdraw(self._at_hand)
                break
            try:
                return self._report(await connection.ask(frame, self._at_hand, silence_s))
            except RunnerDiedError as error:
                died = error
                await self._drop()
                log.warning(
                    "the runner died over trial %s: %s",
                    request.request.trial_id,
                    error,
                    extra={"trial": request.request.trial_id},
                )
        if self._cancelled or died is None:
            return RunReport(Outcome.CANCELLED, "stopped on request")
        return RunReport(Outcome.CRASH, f"the runner itself died of it twice: {died}", signal=died.signal_number)

    async def _frame(self, request: LocalRequest) -> list[bytes]:
        """What is still to be sent for ``request``: nothing where the runner has it already."""
        ahead = self._ahead.pop(request.request.trial_id, None)
        if ahead is not None:
            self._at_hand = ahead
            return []
        frame = await self._encode(request)
        self._at_hand = self._sequence
        return frame

    async def offer(self, request: LocalRequest) -> None:
        async with self._sending:
            if not self._transport.here:
                return  # the trial's files would arrive there while a kernel is timed
            # One place is left for the trial at hand, which may come behind those that were offered.
            if not self._running or self._connection is None or len(self._ahead) >= protocol.MAX_WAITING - 1:
                return
            if request.request.program.outputs:
                return  # the outputs of a withdrawn trial would fill the pipe, which nobody reads then
            try:
                frame = await self._encode(request)
            except (protocol.RequestError, RunnerError):
                return
            if sum(map(len, frame)) <= _AHEAD_BYTES:
                self._connection.send(frame, self._sequence)
                self._ahead[request.request.trial_id] = self._sequence

    async def withdraw(self, request: LocalRequest) -> None:
        async with self._sending:
            sequence = self._ahead.pop(request.request.trial_id, None)
            if sequence is not None and self._connection is not None:
                self._connection.withdraw(sequence)

    async def _encode(self, request: LocalRequest) -> list[bytes]:
        try:
            library = await self._transport.put(request.library)
            params = await self._transport.put(request.params) if request.params else ""
        except OSError as error:
            raise RunnerError(f"cannot bring {request.library.name} to the machine that runs it: {error}") from error
        self._sequence = (self._sequence + 1) % (1 << 32)
        return protocol.encode_run(self._sequence, request.request, library, params)

    async def cancel(self) -> None:
        if not self._running:
            return
        self._cancelled = True
        if self._connection is not None:
            self._connection.cancel(self._at_hand)

    async def stop(self) -> None:
        await self._drop()

    async def _connect(self) -> Connection:
        await self._drop()
        try:
            process = await self._transport.spawn(await self._command())
        except OSError as error:
            raise RunnerError(f"cannot start {self._executable}: {error.strerror or error}") from error
        try:
            self._connection = await Connection.open(process)
        except RunnerDiedError as error:
            raise RunnerError(f"{self._executable} {error}") from error
        return self._connection

    async def _command(self) -> list[str]:
        command = [await self._transport.install(self._executable)]
        if (libc := self._libc) is not None:
            folder = libc.digest
            for library in libc.libraries:
                await self._transport.install(library, folder)
            loader = await self._transport.install(libc.loader, folder)
            command = [loader, "--library-path", loader.rpartition("/")[0], *command]
        if (found := self._libraries) is not None:
            for option, path in (("--ffi", found.ffi), ("--runtime", found.runtime), ("--extra", found.extra)):
                if path is not None:
                    command += [option, await self._transport.install(path)]
        if self._cpus:
            command += ["--cpus", self._cpus]
        if self._threads:
            command += ["--threads", str(self._threads)]
        return command

    def _report(self, result: protocol.Result) -> RunReport:
        # The clock of another machine tells only how long ago a thing was when that machine said so.
        sent_s = steady_unix_s(result.sent_s) if self._transport.here else steady_unix_s()
        shift_s = sent_s - result.sent_s
        return RunReport(
            outcome=result.outcome,
            detail=result.detail,
            signal=result.signal,
            run_secs=result.run_secs,
            outputs=result.outputs,
            started_s=result.started_s and result.started_s + shift_s,
            finished_s=result.finished_s and result.finished_s + shift_s,
            cut_short=result.cut_short,
        )

    async def _drop(self) -> None:
        connection, self._connection, self._ahead = self._connection, None, {}
        if connection is not None:
            await connection.close()
