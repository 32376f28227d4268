"""Warm builders forked from this process, which has TVM loaded: a job's."""

from __future__ import annotations

from multiprocessing.connection import Connection

from tvm_farm.tracker.tuning.building.piped import PipedBuilders
from tvm_farm.tracker.tuning.building.serving import FORK, die_with_parent, serve_builders
from tvm_farm.tracker.tuning.building.yielding import yield_to_others

__all__ = ["ForkedBuilders"]


class ForkedBuilders(PipedBuilders):
    """``workers`` builders with at most ``timeout_s`` seconds of CPU time for a candidate.

    CPU time, since a builder gives way to everything else on its host: a busy minute must not turn
    good candidates into failures.
    Create it while the process has one thread and no gRPC channel: it forks.
    """

    def __init__(self, workers: int, timeout_s: float) -> None:
        pipe, theirs = FORK.Pipe()
        parent = FORK.Process(
            target=_serve, args=(theirs, pipe, workers, timeout_s), name="builder-parent", daemon=False
        )
        parent.start()
        theirs.close()
        super().__init__(workers, pipe, parent)


def _serve(pipe: Connection, other_end: Connection, workers: int, timeout_s: float) -> None:
    die_with_parent()
    other_end.close()
    yield_to_others()
    serve_builders(pipe, workers, timeout_s)
