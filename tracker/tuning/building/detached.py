"""Warm builders for a process that must not be forked: a person's script, with gRPC and threads of its own."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from multiprocessing.connection import Connection

from tvm_farm.tracker.tuning.building.piped import PipedBuilders
from tvm_farm.tracker.tuning.building.serving import serve_builders
from tvm_farm.tracker.tuning.building.yielding import yield_to_others

__all__ = ["DetachedBuilders", "main"]

#: The script's own module is not imported again, as multiprocessing's "spawn" would: it need not be written for that.
_START = f"import sys; sys.path[:] = {{path!r}}; from {__name__} import main; main{{arguments!r}}"


class DetachedBuilders(PipedBuilders):
    """``workers`` builders with ``timeout_s`` of CPU time for a candidate, made at any time, from any thread.

    They are forked by a Python that is started anew. That one is of a session of its own, so that Ctrl-C does not reach
    it, and ends with the script. ``yielding``: they run on CPU time that nothing else wants.
    """

    def __init__(self, workers: int, timeout_s: float, *, yielding: bool) -> None:
        pipe, theirs = multiprocessing.Pipe()
        code = _START.format(path=sys.path, arguments=(theirs.fileno(), workers, timeout_s, yielding))
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        super().__init__(workers, pipe, _Parent(process))


class _Parent:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def terminate(self) -> None:
        self._process.terminate()

    def join(self) -> None:
        self._process.wait()


def main(fileno: int, workers: int, timeout_s: float, yielding: bool) -> None:
    """Serve the builders of the other end of the inherited file ``fileno``."""
    if yielding:
        yield_to_others()
    serve_builders(Connection(fileno), workers, timeout_s)
