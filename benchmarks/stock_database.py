"""What stock TVM's JSON database holds of a tuning, and of a part of it."""

from __future__ import annotations

import json
import math
import shutil
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import tvm
from tvm import relax
from tvm.s_tir import meta_schedule as ms

from benchmarks.curves import Trial
from benchmarks.stock_tuning import DATABASE
from tvm_farm.tracker.tuning.models.graph import workload_key

__all__ = ["applied", "read_trials"]

_WORKLOADS = "database_workload.json"
#: What MetaSchedule writes for a candidate that failed (measure_callback/add_to_database.cc).
_FAILED_S = 1e9
_ROUNDING = 1e-6


def read_trials(folder: Path, measured: Sequence[tuple[float, float]]) -> list[Trial]:
    """Every trial in the database, in its order; ``at_s`` is that of the entry of ``measured`` with the same time.

    ``measured``: (when, seconds a call). Raises RuntimeError for a good trial that it does not hold.
    """
    keys = [
        workload_key(ms.database.Workload.from_json(json.loads(line)).mod)
        for line in (folder / _WORKLOADS).read_text(encoding="utf-8").splitlines()
    ]
    by_seconds = sorted((seconds, at_s) for at_s, seconds in measured)
    trials = []
    for line in (folder / DATABASE).read_text(encoding="utf-8").splitlines():
        workload, (trace, run_secs, *_) = json.loads(line)
        seconds = min(run_secs, default=_FAILED_S)
        if seconds >= _FAILED_S:
            trials.append(Trial(math.inf, keys[workload], None, json.dumps(trace)))
            continue
        # The database keeps what came through a 32-bit number's type and decimal text.
        place = bisect_left(by_seconds, (seconds * (1 - _ROUNDING), 0.0))
        if place == len(by_seconds) or by_seconds[place][0] > seconds * (1 + _ROUNDING):
            raise RuntimeError(f"stock TVM's database holds a trial of {seconds} s that its runner did not measure")
        trials.append(Trial(by_seconds.pop(place)[1], keys[workload], seconds, json.dumps(trace)))
    return trials


def applied(
    module: tvm.ir.IRModule, target: tvm.target.Target, folder: Path, trials: Sequence[Trial], until_s: float
) -> tvm.ir.IRModule:
    """``module`` with the best schedules of the database measured until then, by stock TVM's pass.

    ``trials``: the database's, as ``read_trials`` returns them.
    """
    part = folder / f"until-{until_s:.0f}"
    part.mkdir()
    shutil.copy(folder / _WORKLOADS, part / _WORKLOADS)
    lines = (folder / DATABASE).read_text(encoding="utf-8").splitlines(keepends=True)
    known = [line for line, trial in zip(lines, trials, strict=True) if trial.at_s <= until_s]
    (part / DATABASE).write_text("".join(known), encoding="utf-8")
    database = ms.database.JSONDatabase(work_dir=str(part))
    with target, database, tvm.transform.PassContext(opt_level=3):
        return relax.transform.MetaScheduleApplyDatabase()(module)
