"""Warm builders: processes that imported TVM once and build one candidate after another.

Importing TVM takes 10 s, building a candidate 75 ms, and a few candidates keep LLVM busy for
minutes or end it. So builders are forked from a parent that has TVM loaded, live on from
candidate to candidate, and are killed and forked anew when one runs past its time or dies. The
parent is a process with a single thread and nothing else to do: forking a process that also runs
gRPC and search threads may copy a lock that nobody will ever release, which is why a general
process pool inside the session would not do.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Protocol

from tvm_farm.protos.measurement import Outcome, Preparation
from tvm_farm.tracker.tuning.building.builder import build_kernel, prepare_for
from tvm_farm.tracker.tuning.building.limits import BuildLimits
from tvm_farm.tracker.tuning.errors import SessionOver

__all__ = ["BuildRequest", "BuilderParent", "BuilderPool", "Built", "PoolEnded", "serve_builders", "yield_to_others"]

#: Where a builder gets no CPU time at all, its candidate is given up after this many times its CPU limit.
PATIENCE = 20
#: A builder is replaced after this many candidates, so that what LLVM leaks does not add up.
CANDIDATES_A_BUILDER = 400
_FORK = multiprocessing.get_context("fork")
_PR_SET_PDEATHSIG = 1
_AUTOGROUP = Path("/proc/self/autogroup")
_AUTOGROUP_TRIES = 5


@dataclass(frozen=True)
class BuildRequest:
    """One candidate to build: ``module`` from ``tvm.ir.save_json``, ``target`` as JSON.

    One of a ``task`` is given up when it takes several times what others of the task took.
    """

    id: str
    module: str
    target: str
    task: str = ""


@dataclass(frozen=True)
class Built:
    """What came of a request: ``library`` where ``outcome`` is OK, else a ``detail`` for a person.

    ``steps``: those of the builder.
    ``cpu_s``: CPU time that it took, or had been given when it ran out of it; 0 where nobody knows.
    """

    id: str
    outcome: Outcome
    library: bytes = b""
    detail: str = ""
    steps: Preparation = field(default_factory=Preparation)
    cpu_s: float = 0.0


@dataclass(frozen=True)
class PoolEnded:
    """No builder is left."""


class BuilderParent(Protocol):
    """The process that forks the builders, as multiprocessing's processes are used."""

    def is_alive(self) -> bool: ...

    def terminate(self) -> None: ...

    def join(self) -> None: ...


class BuilderPool:
    """``workers`` warm builders with at most ``timeout_s`` seconds of CPU time for a candidate.

    CPU time, since a builder gives way to everything else on its host: a busy minute must not turn
    good candidates into failures.
    Create it while the process has one thread and no gRPC channel: it forks. Nothing is delivered
    before ``deliver_to``.
    """

    def __init__(self, workers: int, timeout_s: float) -> None:
        self.workers = workers
        self._pipe, self._process = self._started(workers, timeout_s)
        self._sink: Callable[[Built | PoolEnded], None] = lambda built: None
        self._reader: threading.Thread | None = None

    def _started(self, workers: int, timeout_s: float) -> tuple[Connection, BuilderParent]:
        """The builders' parent and the pipe to it."""
        pipe, theirs = _FORK.Pipe()
        process = _FORK.Process(
            target=_serve_forked, args=(theirs, pipe, workers, timeout_s), name="builder-parent", daemon=False
        )
        process.start()
        theirs.close()
        return pipe, process

    def submit(self, request: BuildRequest) -> None:
        """Queue a candidate. Raises SessionOver when the builders' parent died."""
        self._send(request)

    def deliver_to(self, sink: Callable[[Built | PoolEnded], None]) -> None:
        """Call ``sink`` from the pool's thread with what is built from now on.

        What an earlier sink still had queued is dropped; a candidate of its that is being built at
        this moment may yet arrive. A last PoolEnded follows when the pool is closed or its parent died.
        """
        self._sink = sink
        self._send(None)
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, name="builds", daemon=True)
            self._reader.start()

    def close(self) -> None:
        """End every builder at once; what was queued is dropped. May be called again."""
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()

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
                self._sink(PoolEnded())
                return
            self._sink(built)


def yield_to_others() -> None:
    """Let this process run only on CPU time that nothing else wants. It leaves its session for one of its own.

    Where a device shares the host with its builders, a kernel being timed must not compete with
    them: Linux's SCHED_IDLE gives way at once to any ordinary thread and needs no privilege. Yet
    where the kernel groups processes by session (sched(7), "The autogroup feature"), policies count
    within a group only and each group has an equal share: so the group's own nice value is raised too.
    """
    if hasattr(os, "SCHED_IDLE"):
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(ProcessLookupError):  # it ended a moment ago
                os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(PermissionError):  # it leads its session already
        os.setsid()
    _nice_autogroup()


def _nice_autogroup() -> None:
    for _ in range(_AUTOGROUP_TRIES):
        try:
            _AUTOGROUP.write_text("19")
        except BlockingIOError:  # the kernel takes one such change in 0.1 s of all users together
            time.sleep(0.1)
        except OSError:  # a kernel without the feature
            return
        else:
            return


class _Builder:
    """One forked builder, as its parent sees it."""

    def __init__(self, ours_to_close: list[Connection]) -> None:
        self.pipe, theirs = _FORK.Pipe()
        self.process: ForkProcess = _FORK.Process(target=_build_forever, args=(theirs, [*ours_to_close, self.pipe]))
        self.process.start()
        theirs.close()
        self.request: BuildRequest | None = None
        self.began_s = 0.0
        self.deadline = 0.0
        self.limit_s = 0.0
        self.built = 0

    def start(self, request: BuildRequest, limits: BuildLimits) -> None:
        self.request = request
        self.limit_s = limits.limit_s(request.task)
        self.began_s = time.time()
        self.deadline = time.monotonic() + PATIENCE * limits.longest_s
        self.pipe.send((request.module, request.target, self.limit_s))

    def end(self) -> int | None:
        """Kill it and return its exit code: negative is the signal it died of by itself."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.pipe.close()
        return self.process.exitcode


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_cpu_time(seconds: float) -> None:
    """End this process by SIGPROF after ``seconds`` more of CPU time, 0 for never. RLIMIT_CPU counts whole seconds."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _build_forever(pipe: Connection, inherited: list[Connection]) -> None:
    _die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for connection in inherited:
        connection.close()
    while True:
        try:
            module, target, limit_s = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            prepare_for(target)
            _limit_cpu_time(limit_s)
            began_s = time.process_time()
            library, compiled_s = build_kernel(module, target)
            answer = (Outcome.OK, library, compiled_s, time.process_time() - began_s, "")
        except Exception as error:  # noqa: BLE001 - whatever TVM or LLVM raises is this candidate's outcome
            outcome = Outcome.HOST_FAULT if isinstance(error, OSError | MemoryError) else Outcome.BUILD_ERROR
            answer = (outcome, b"", 0.0, 0.0, f"{type(error).__name__}: {str(error).strip()[-2000:]}")
        pipe.send(answer)
        _limit_cpu_time(0)


def _serve_forked(pipe: Connection, other_end: Connection, workers: int, timeout_s: float) -> None:
    _die_with_parent()
    other_end.close()
    yield_to_others()
    serve_builders(pipe, workers, timeout_s)


def serve_builders(pipe: Connection, workers: int, timeout_s: float) -> None:
    """The parent's loop: hand out requests, take results, replace builders that are late or dead.

    Returns when the other end of ``pipe`` is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    limits = BuildLimits(timeout_s)
    queue: deque[BuildRequest] = deque()
    builders = [_Builder([pipe]) for _ in range(workers)]
    try:
        while True:
            for builder in builders:
                if builder.request is None and queue:
                    builder.start(queue.popleft(), limits)
            busy = [b for b in builders if b.request is not None]
            patience = max(0.0, min((b.deadline for b in busy), default=time.monotonic() + 60) - time.monotonic())
            ready = wait([pipe, *(b.pipe for b in builders)], timeout=patience)
            if pipe in ready:
                request = pipe.recv()
                if request is None:
                    queue.clear()
                else:
                    queue.append(request)
            for number, builder in enumerate(builders):
                if builder.pipe in ready or (builder.request is not None and time.monotonic() >= builder.deadline):
                    builders[number] = _finish(builder, builder.pipe in ready, pipe, limits)
    except (EOFError, OSError):
        return
    finally:
        for builder in builders:
            builder.end()


def _finish(builder: _Builder, answered: bool, pipe: Connection, limits: BuildLimits) -> _Builder:
    """Send the result of ``builder`` on; returns the builder for its place, a new one where it had to go."""
    request = builder.request
    if request is None:  # it died while idle, of an out-of-memory killer say: nobody's candidate is lost
        builder.end()
        return _Builder([pipe])
    if answered:
        try:
            outcome, library, compiled_s, cpu_s, error = builder.pipe.recv()
        except (EOFError, OSError):
            code = builder.end() or 0
            if code == -signal.SIGPROF:
                limits.took(request.task, builder.limit_s)
                others = ", several times what others of its task take" if builder.limit_s < limits.longest_s else ""
                detail = f"still compiling after {builder.limit_s:.2g} s of CPU time{others}"
                late = _failed(request, Outcome.BUILD_TIMEOUT, detail, builder.began_s)
                pipe.send(replace(late, cpu_s=builder.limit_s))
                return _Builder([pipe])
            cause = f"signal {-code}" if code < 0 else f"exit status {code}"
            # Whoever kills it, of little memory say, tells nothing of the candidate.
            whose = Outcome.HOST_FAULT if code == -signal.SIGKILL else Outcome.BUILD_ERROR
            detail = f"the builder died of {cause} while compiling this candidate"
            pipe.send(_failed(request, whose, detail, builder.began_s))
            return _Builder([pipe])
        if outcome is Outcome.OK:
            limits.took(request.task, cpu_s)
        steps = Preparation(building_s=builder.began_s, compiled_s=compiled_s, built_s=time.time())
        pipe.send(Built(request.id, outcome, library, error, steps, cpu_s))
        builder.request = None
        builder.built += 1
        if builder.built < CANDIDATES_A_BUILDER:
            return builder
        builder.end()
        return _Builder([pipe])
    builder.end()
    limit_s, waited_s = limits.longest_s, PATIENCE * limits.longest_s
    waited = f"the builder's host had not {limit_s:g} s of CPU time to spare in {waited_s:g} s"
    pipe.send(_failed(request, Outcome.HOST_FAULT, waited, builder.began_s))
    return _Builder([pipe])


def _failed(request: BuildRequest, outcome: Outcome, detail: str, began_s: float) -> Built:
    return Built(request.id, outcome, detail=detail, steps=Preparation(building_s=began_s, built_s=time.time()))
