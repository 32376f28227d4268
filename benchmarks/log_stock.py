"""The log's stock side: MetaSchedule's JSONDatabase, filled with real operators and traces of theirs."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm
from tvm import te, topi
from tvm.s_tir import meta_schedule as ms

from tvm_farm.tracker.tuning.building.intrinsics import register_intrinsics

__all__ = ["Operator", "StockLog", "fill_database", "sample_operators"]

_TARGET = '{"kind": "llvm", "mcpu": "skylake-avx512", "num-cores": 4}'
_BATCH = 250


@dataclass(frozen=True)
class Operator:
    """A module and traces that MetaSchedule drew for it, postprocessed, as its records carry them."""

    module: tvm.ir.IRModule
    traces: list[Any]

    def texts(self) -> list[str]:
        """The traces as the farm's records carry them."""
        return [json.dumps(trace.as_json(), separators=(",", ":"), default=_plain) for trace in self.traces]


@dataclass(frozen=True)
class StockLog:
    """What came of ``records`` commits. ``reopen_s`` includes what JSONDatabase does then: it replays every trace."""

    records: int
    commits_per_s: float
    last_tenth_per_s: float
    best_p95_s: float
    reopen_s: float
    bytes_per_record: float


def sample_operators(kinds: int, traces: int) -> list[Operator]:
    """``kinds`` convolutions of different shapes with ``traces`` schedules each."""
    register_intrinsics()  # MetaSchedule's own import registers those of GPUs too, in ten times the time
    target = tvm.target.Target(json.loads(_TARGET))
    found = []
    for number in range(kinds):
        module = _convolution(number)
        context = ms.TuneContext(
            mod=module,
            target=target,
            space_generator="post-order-apply",
            search_strategy="replay-trace",
            task_name=f"operator{number}",
            rand_state=number + 1,
            num_threads=1,
        )
        context.pre_tuning(traces, traces, context.generate_design_space(), ms.database.MemoryDatabase(), None)
        candidates = context.generate_measure_candidates() or ()
        found.append(Operator(module, [candidate.sch.trace for candidate in candidates]))
    return found


def fill_database(folder: Path, operators: list[Operator], count: int) -> StockLog:
    """Commit ``count`` records, query the best of each workload, reopen the folder.

    Records are made before their commits are timed, as the farm's are. Raises RuntimeError for a wrong answer.
    """
    rng = random.Random(1)
    target = tvm.target.Target(json.loads(_TARGET))
    folder.mkdir()
    database = ms.database.JSONDatabase(work_dir=str(folder))
    workloads = [database.commit_workload(operator.module) for operator in operators]
    arguments = [ms.arg_info.ArgInfo.from_prim_func(operator.module["main"]) for operator in operators]
    best: dict[int, float] = {}
    batches_s = []
    for _ in range(count // _BATCH):
        batch = []
        for _ in range(_BATCH):
            chosen, run_secs = rng.randrange(len(operators)), [rng.uniform(1e-5, 1e-1) for _ in range(3)]
            best[chosen] = min(best.get(chosen, 1e9), sum(run_secs) / 3)
            trace = rng.choice(operators[chosen].traces)
            batch.append(ms.database.TuningRecord(trace, workloads[chosen], run_secs, target, arguments[chosen]))
        begun = time.perf_counter()
        for record in batch:
            database.commit_tuning_record(record)
        batches_s.append(time.perf_counter() - begun)
    last = batches_s[-max(1, len(batches_s) // 10) :]
    queries_s = []
    for chosen, expected in best.items():
        for _ in range(10):
            begun = time.perf_counter()
            top = database.get_top_k(workloads[chosen], 1)
            queries_s.append(time.perf_counter() - begun)
            _check(top, expected)
    size = sum(path.stat().st_size for path in folder.iterdir())
    done = _BATCH * len(batches_s)
    begun = time.perf_counter()
    reopened = ms.database.JSONDatabase(work_dir=str(folder))
    reopen_s = time.perf_counter() - begun
    if len(reopened) != done:
        raise RuntimeError(f"JSONDatabase has {len(reopened)} records after it was reopened, not {done}")
    return StockLog(
        records=done,
        commits_per_s=done / sum(batches_s),
        last_tenth_per_s=_BATCH * len(last) / sum(last),
        best_p95_s=sorted(queries_s)[int(0.95 * len(queries_s))],
        reopen_s=reopen_s,
        bytes_per_record=size / done,
    )


def _plain(value: Any) -> int | float:
    """TVM's numbers as JSON's."""
    return int(value) if isinstance(value, tvm.tirx.IntImm) else float(value.value)


def _check(top: Any, expected: float) -> None:
    found = sum(map(float, top[0].run_secs)) / len(top[0].run_secs) if top else 0.0
    if abs(found - expected) > 1e-9:
        raise RuntimeError(f"JSONDatabase's best record has a mean of {found} s, the least committed was {expected} s")


def _convolution(number: int) -> tvm.ir.IRModule:
    """A convolution, its bias added, then relu: what a network's task looks like."""
    channels, size, kernel = 16 + 8 * number, 56 >> number % 3, (1, 3)[number % 2]
    x = te.placeholder((1, channels, size, size), name="x")
    w = te.placeholder((2 * channels, channels, kernel, kernel), name="w")
    bias = te.placeholder((1, 2 * channels, 1, 1), name="bias")
    y = topi.nn.relu(topi.add(topi.nn.conv2d_nchw(x, w, 1, kernel // 2, 1), bias))
    return tvm.ir.IRModule({"main": te.create_prim_func([x, w, bias, y])})
