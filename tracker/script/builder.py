"""MetaSchedule's builder on the farm's warm processes."""

from __future__ import annotations

import json
import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms

from tvm_farm.tracker.client.errors import BadInput, FarmError
from tvm_farm.tracker.domain import Measurement, Timeline, TimingPlan, new_trial_id
from tvm_farm.tracker.script.artifact import write_library
from tvm_farm.tracker.script.ledger import LEDGER, Entry, Kernel
from tvm_farm.tracker.tuning.building.base import BuildRequest, Built
from tvm_farm.tracker.tuning.building.batch import build_all
from tvm_farm.tracker.tuning.building.detached import DetachedBuilders
from tvm_farm.tracker.tuning.errors import SessionOver

__all__ = ["FarmBuilder"]


@derived_object
class FarmBuilder(ms.builder.PyBuilder):  # type: ignore[misc]
    """Builds candidates for any LLVM target on this machine, in processes that loaded TVM once.

    ``max_workers`` processes, as many as CPUs by default; ``timeout_sec`` of CPU time for a candidate. They are started
    with the FarmBuilder and end with it or with ``close``. ``beside_device``: a device of the farm is on this very
    machine, so they run on CPU time that nothing else wants, or its timings would be of both.

    An artifact is a linked shared library: for FarmRunner, and for TVM's LocalRunner where the target is this machine.
    """

    def __init__(
        self, max_workers: int | None = None, timeout_sec: float = 10.0, *, beside_device: bool = False
    ) -> None:
        super().__init__()
        if (max_workers is not None and max_workers < 1) or timeout_sec <= 0:
            raise BadInput("FarmBuilder: max_workers must be at least 1 and timeout_sec above 0.")
        self._workers = max_workers or len(os.sched_getaffinity(0))
        self._timeout_s = timeout_sec
        self._beside_device = beside_device
        self._lock = threading.Lock()
        self._pool: DetachedBuilders | None = None
        self._end: Any = None
        self._start()

    def build(self, build_inputs: Sequence[ms.builder.BuilderInput]) -> list[ms.builder.BuilderResult]:
        """One result for each. Raises BadInput for what it cannot build at all: parameters, a target without LLVM."""
        requests, keys = [], {}
        began_s = time.time()
        for build_input in build_inputs:
            trial_id = new_trial_id(began_s)
            keys[trial_id] = str(ms.utils.shash2hex(build_input.mod))
            requests.append(BuildRequest(trial_id, tvm.ir.save_json(build_input.mod), _target_of(build_input)))
        with self._lock:
            built = self._build_all(requests)
        return [self._result(built[request.id], keys[request.id], began_s) for request in requests]

    def close(self) -> None:
        """End the processes. May be called again."""
        if self._end is not None:
            self._end()

    def _start(self) -> DetachedBuilders:
        self.close()
        self._pool = DetachedBuilders(self._workers, self._timeout_s, yielding=self._beside_device)
        self._end = weakref.finalize(self, self._pool.close)
        return self._pool

    def _build_all(self, requests: Sequence[BuildRequest]) -> dict[str, Built]:
        pool = self._pool if self._end.alive and self._pool is not None else self._start()
        try:
            return build_all(pool, requests)
        except SessionOver:  # killed by somebody, of little memory say: once is an accident
            pool = self._start()
        try:
            return build_all(pool, requests)
        except SessionOver as error:
            raise FarmError("The builders of this script end as soon as they are started: see above why.") from error

    def _result(self, built: Built, key: str, began_s: float) -> ms.builder.BuilderResult:
        steps = replace(built.steps, proposed_s=began_s)
        if built.library is not None:
            path = write_library(built.library.inline)
            LEDGER.built(path, Kernel(key, steps))
            return ms.builder.BuilderResult(path, None)
        failed = Measurement(built.id, built.outcome, built.detail, timeline=Timeline(**steps.prepared()))
        LEDGER.enter(key, Entry(failed, TimingPlan(), ""))
        return ms.builder.BuilderResult(None, f"{built.outcome.value}: {built.detail}")


def _target_of(build_input: ms.builder.BuilderInput) -> str:
    target = build_input.target
    if build_input.params:
        raise BadInput("FarmBuilder builds tensor programs: it takes no parameters of a model.")
    if str(target.kind.name) != "llvm":
        raise BadInput(f"FarmBuilder builds for LLVM's CPUs, not for a target of kind {target.kind.name}.")
    # TVM writes a target as JSON, with whatever was left out filled in.
    return json.dumps(json.loads(str(target)))
