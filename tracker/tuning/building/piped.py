"""Builders at the other end of a pipe, whose parent serves them there (serving)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Protocol

from tvm_farm.tracker.tuning.building.base import BuildersEnded, BuildRequest, Built
from tvm_farm.tracker.tuning.errors import SessionOver

__all__ = ["BuilderParent", "PipedBuilders"]

#: Seconds in which the reader hears that the parent has ended. A builder that cannot be killed holds the pipe longer.
_END_S = 5.0


class BuilderParent(Protocol):
    """The process that forks the builders, as multiprocessing's processes are used."""

    @property
    def pid(self) -> int | None: ...

    def is_alive(self) -> bool: ...

    def terminate(self) -> None: ...

    def join(self) -> None: ...


class PipedBuilders:
    """See ``Builders``. ``pipe`` leads to ``parent``."""

    def __init__(self, workers: int, pipe: Connection, parent: BuilderParent) -> None:
        self.workers = workers
        self._pipe, self._parent = pipe, parent
        self._sink: Callable[[Built | BuildersEnded], None] = lambda built: None
        self._reader: threading.Thread | None = None

    @property
    def parent_pid(self) -> int | None:
        return self._parent.pid

    def submit(self, request: BuildRequest) -> None:
        self._send(request)

    def deliver_to(self, sink: Callable[[Built | BuildersEnded], None]) -> None:
        self._sink = sink
        self._send(None)
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, name="builds", daemon=True)
            self._reader.start()

    def close(self) -> None:
        if self._parent.is_alive():
            self._parent.terminate()
        self._parent.join()
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(_END_S)
        if self._reader is None or not self._reader.is_alive():
            self._pipe.close()

    def _send(self, order: BuildRequest | None) -> None:
        try:
            self._pipe.send(order)
        except OSError as error:
            raise SessionOver("the builders' parent process ended") from error

    def _read(self) -> None:
        while True:
            try:
                built = self._pipe.recv()
            except (EOFError, OSError):
                self._sink(BuildersEnded())
                return
            self._sink(built)
