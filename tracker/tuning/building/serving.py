"""The parent of warm builders: processes that imported TVM once and build one candidate after another.

Importing TVM takes 10 s, building a candidate 75 ms, and a few candidates keep LLVM busy for
minutes or end it. So builders are forked from a parent that has TVM loaded, live on from
candidate to candidate, and are killed and forked anew when one runs past its time or dies. The
parent is a process with a single thread and nothing else to do: forking a process that also runs
gRPC and search threads may copy a lock that nobody will ever release, which is why a general
process pool inside the session would not do.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import time
from collections import deque
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from tvm_farm.protos.measurement import Artifact, Outcome, Preparation
from tvm_farm.tracker.tuning.building.base import BuildRequest, Built
from tvm_farm.tracker.tuning.building.builder import build_kernel, prepare_for
from tvm_farm.tracker.tuning.building.limits import BuildLimits

__all__ = ["CANDIDATES_A_BUILDER", "CPU_WAITS", "FORK", "die_with_parent", "serve_builders"]

#: Where a builder gets no CPU time at all, its candidate is given up after this many times its CPU limit.
CPU_WAITS = 20
#: A builder is replaced after this many candidates, so that what LLVM leaks does not add up.
CANDIDATES_A_BUILDER = 400
#: How builders are made.
FORK = multiprocessing.get_context("fork")
_PR_SET_PDEATHSIG = 1


class _Builder:
    """One forked builder, as its parent sees it."""

    def __init__(self, ours_to_close: list[Connection]) -> None:
        self.pipe, theirs = FORK.Pipe()
        self.process: ForkProcess = FORK.Process(target=_build_forever, args=(theirs, [*ours_to_close, self.pipe]))
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
        self.deadline = time.monotonic() + CPU_WAITS * limits.longest_s
        self.pipe.send((request.module, request.target, self.limit_s))

    def end(self) -> int | None:
        """Kill it and return its exit code: negative is the signal it died of by itself."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.pipe.close()
        return self.process.exitcode


def die_with_parent() -> None:
    """Have Linux kill this process when the one that made it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_cpu_time(seconds: float) -> None:
    """End this process by SIGPROF after ``seconds`` more of CPU time, 0 for never. RLIMIT_CPU counts whole seconds."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _build_forever(pipe: Connection, inherited: list[Connection]) -> None:
    die_with_parent()
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
            took_s = time.process_time() - began_s
            answer: tuple[Outcome, Artifact | None, float, float, str]
            answer = (Outcome.OK, Artifact.of(library), compiled_s, took_s, "")
        except Exception as error:  # noqa: BLE001 - whatever TVM or LLVM raises is this candidate's outcome
            outcome = Outcome.HOST_FAULT if isinstance(error, OSError | MemoryError) else Outcome.BUILD_ERROR
            answer = (outcome, None, 0.0, 0.0, f"{type(error).__name__}: {str(error).strip()[-2000:]}")
        pipe.send(answer)
        _limit_cpu_time(0)


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
            wait_s = max(0.0, min((b.deadline for b in busy), default=time.monotonic() + 60) - time.monotonic())
            ready = wait([pipe, *(b.pipe for b in builders)], timeout=wait_s)
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
    limit_s, waited_s = limits.longest_s, CPU_WAITS * limits.longest_s
    waited = f"the builder's host had not {limit_s:g} s of CPU time to spare in {waited_s:g} s"
    pipe.send(_failed(request, Outcome.HOST_FAULT, waited, builder.began_s))
    return _Builder([pipe])


def _failed(request: BuildRequest, outcome: Outcome, detail: str, began_s: float) -> Built:
    return Built(request.id, outcome, detail=detail, steps=Preparation(building_s=began_s, built_s=time.time()))
