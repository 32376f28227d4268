"""One runner process and its streams: frames out, frames in, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine, Sequence
from typing import Any

from tvm_farm.agent.runner import protocol
from tvm_farm.agent.runner.contract import RunnerError
from tvm_farm.agent.runner.transport import Process

__all__ = ["Connection", "RunnerDiedError"]

log = logging.getLogger("agent.runner")

_HELLO_WITHIN_S = 30.0
_EXIT_WITHIN_S = 5.0
_LAST_WORDS_BYTES = 500


class RunnerDiedError(Exception):
    """The runner is gone, or breaks its protocol. The text is a clause that says how."""

    def __init__(self, how: str, signal_number: int = 0) -> None:
        super().__init__(how)
        self.signal_number = signal_number


class Connection:
    """A started runner, from its HELLO to its end."""

    hello: protocol.Hello

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self._input, self._output = process.stdin, process.stdout
        self._last_words = b""
        #: Sequences of requests that are sent, and not asked for yet.
        self._ahead: set[int] = set()
        #: Answers to requests in ``_ahead``, by sequence.
        self._answers: dict[int, protocol.Result] = {}
        #: Sequences of requests that were withdrawn: nobody takes their answers.
        self._unwanted: set[int] = set()
        self._listening = asyncio.create_task(self._listen(process.stderr))

    @classmethod
    async def open(cls, process: Process) -> Connection:
        """Raises RunnerDiedError, or DeviceAwayError, with the process ended."""
        connection = cls(process)
        try:
            payload = await connection._within(_HELLO_WITHIN_S, connection._read_frame(protocol.HELLO))
            connection.hello = protocol.decode_hello(payload)
        except protocol.ProtocolError as error:
            await connection.close()
            raise RunnerDiedError(f"cannot be used: {error}") from error
        except BaseException:
            await connection.close()
            raise
        return connection

    def send(self, frame: Sequence[bytes], sequence: int) -> None:
        """Put a small RUN frame on its way. ``ask`` with its sequence takes the answer."""
        self._input.writelines(frame)
        self._ahead.add(sequence)

    async def ask(self, frame: Sequence[bytes], sequence: int, within_s: float) -> protocol.Result:
        """The answer to a RUN frame; ``frame`` is empty where it was sent before.

        After RunnerDiedError or DeviceAwayError the connection is of no more use.
        """
        self._ahead.discard(sequence)
        try:
            while sequence not in self._answers:
                result = protocol.decode_result(await self._within(within_s, self._exchange(frame)))
                frame = ()
                if result.sequence in self._unwanted:
                    self._unwanted.remove(result.sequence)
                elif result.sequence == sequence or result.sequence in self._ahead:
                    self._answers[result.sequence] = result
                else:
                    raise protocol.ProtocolError(f"an answer to request {result.sequence} came, not to {sequence}")
        except protocol.ProtocolError as error:
            raise RunnerDiedError(f"said what its protocol does not know: {error}") from error
        return self._answers.pop(sequence)

    async def _exchange(self, frame: Sequence[bytes]) -> bytes:
        self._input.writelines(frame)
        # A reset here means that the runner died: what it left to read, and its exit status, say more.
        with contextlib.suppress(ConnectionError):
            await self._input.drain()
        return await self._read_frame(protocol.RESULT)

    def cancel(self, sequence: int) -> None:
        self._input.write(protocol.encode_cancel(sequence))

    def withdraw(self, sequence: int) -> None:
        """Cancel a request that was sent ahead: nobody takes its answer."""
        self._ahead.discard(sequence)
        if self._answers.pop(sequence, None) is None:
            self._unwanted.add(sequence)
            self.cancel(sequence)

    async def close(self) -> None:
        """End the process, and its kernel with it, and reap it."""
        self._input.close()
        with contextlib.suppress(RunnerError):  # the way to the device is gone: the end of its input ends the runner
            try:
                await asyncio.wait_for(self.process.wait(), _EXIT_WITHIN_S)
            except asyncio.TimeoutError:
                self._kill()
                await self.process.wait()
        await self._listening
        # Without this the closed pipe's transport is still open when its loop ends.
        with contextlib.suppress(ConnectionError):
            await self._input.wait_closed()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it may have ended a moment ago
            self.process.kill()

    async def _within(self, within_s: float, answer: Coroutine[Any, Any, bytes]) -> bytes:
        try:
            return await asyncio.wait_for(answer, within_s)
        except asyncio.TimeoutError:
            self._kill()
            raise RunnerDiedError(f"gave no answer within {within_s:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise await self._obituary() from None

    async def _read_frame(self, expected: int) -> bytes:
        size, kind = protocol.FRAME_HEAD.unpack(await self._output.readexactly(protocol.FRAME_HEAD.size))
        payload = await self._output.readexactly(size)
        if kind != expected:
            self._kill()
            raise RunnerDiedError(f"sent a frame of type {kind} where {expected} was due")
        return payload

    async def _obituary(self) -> RunnerDiedError:
        try:
            status = await asyncio.wait_for(self.process.wait(), _EXIT_WITHIN_S)
        except asyncio.TimeoutError:
            self._kill()
            return RunnerDiedError("closed its output and lived on")
        await self._listening
        words = self._last_words.decode("utf-8", "replace").strip()
        said = f", saying: {words}" if words else ""
        if status < 0:
            return RunnerDiedError(f"died of signal {-status} ({signal.strsignal(-status)}){said}", -status)
        return RunnerDiedError(f"ended with exit status {status}{said}")

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while said := await stream.read(4096):
            log.debug("runner: %s", said.decode("utf-8", "replace").rstrip())
            self._last_words = (self._last_words + said)[-_LAST_WORDS_BYTES:]
