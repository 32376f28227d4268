"""What stock TVM's JSON database holds of a tuning, and of a part of it."""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import tvm
from tvm import relax
from tvm.s_tir import meta_schedule as ms

from benchmarks.curves import Trial
from benchmarks.stock_tuning import DATABASE
from tracker.tuning.models.graph import workload_key

__all__ = ["Growth", "applied", "read_trials"]

_WORKLOADS = "database_workload.json"
#: What MetaSchedule writes for a candidate that failed (measure_callback/add_to_database.cc).
_FAILED_S = 1e9

#: How a database grew: (seconds of tuning, trials in it by then), in order.
Growth = Sequence[tuple[float, int]]


def read_trials(folder: Path, growth: Growth) -> list[Trial]:
    """Every trial in the database, dated by ``growth``; what came after its last entry is left out."""
    if not (folder / DATABASE).exists():
        return []
    keys = [
        workload_key(ms.database.Workload.from_json(json.loads(line)).mod)
        for line in (folder / _WORKLOADS).read_text(encoding="utf-8").splitlines()
    ]
    counts = [count for _, count in growth]
    trials = []
    for number, line in enumerate((folder / DATABASE).read_text(encoding="utf-8").splitlines()):
        seen = bisect_right(counts, number)
        if seen == len(growth):
            break
        workload, (trace, run_secs, *_) = json.loads(line)
        seconds = min(run_secs, default=_FAILED_S)
        trials.append(
            Trial(growth[seen][0], keys[workload], seconds if seconds < _FAILED_S else None, json.dumps(trace))
        )
    return trials


def applied(module: tvm.ir.IRModule, target: tvm.target.Target, folder: Path, count: int) -> tvm.ir.IRModule:
    """``module`` with the best schedules among the first ``count`` trials of the database, by stock TVM's pass."""
    part = folder / f"first-{count}"
    part.mkdir(exist_ok=True)
    shutil.copy(folder / _WORKLOADS, part / _WORKLOADS)
    lines = (folder / DATABASE).read_text(encoding="utf-8").splitlines(keepends=True)[:count]
    (part / DATABASE).write_text("".join(lines), encoding="utf-8")
    database = ms.database.JSONDatabase(work_dir=str(part))
    with target, database, tvm.transform.PassContext(opt_level=3):
        return relax.transform.MetaScheduleApplyDatabase()(module)
