"""Engine ``ansor``: MetaSchedule's sketch rules, evolutionary search and cost model, as ask and tell.

Ansor (Zheng et al., OSDI 2020) draws sketches from a workload by rules, fills them at random and
evolves them under a learned cost model. ``tvm.s_tir.meta_schedule`` is its published successor:
``PostOrderApply`` with the target's rules, ``EvolutionarySearch`` and an XGBoost rank model on
per-store features. Stock TVM drives them through ``TaskScheduler``; here they are driven from
outside, so that search, build and measurement overlap.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import tvm
import tvm.s_tir.tensor_intrin  # registers the intrinsics that rules and traces name
from tvm.s_tir import Schedule
from tvm.s_tir import meta_schedule as ms

from tracker.tuning.engines.base import Candidate, Learned

__all__ = ["AnsorEngine", "apply_trace", "new_cost_model"]

#: What MetaSchedule writes for a candidate that failed (measure_callback/add_to_database.cc).
_FAILED_S = 1e10
#: Batches that bring nothing new before a space counts as exhausted.
_EMPTY_BATCHES = 3


def new_cost_model(threads: int, seed: int) -> ms.cost_model.PyCostModel:
    """The cost model that all tasks of a job share: what one convolution teaches helps the next.

    Until it has learned something it scores at random, by numpy's global generator: ``seed`` goes there.
    """
    np.random.seed(seed % 2**32)
    return ms.cost_model.XGBModel(num_warmup_samples=64, num_tuning_cores=threads)


def apply_trace(module: tvm.ir.IRModule, trace: str) -> Schedule:
    """``module`` scheduled as ``trace`` says. Raises what TVM raises where it does not apply."""
    schedule = Schedule(module, debug_mask="none")
    tvm.s_tir.schedule.Trace.apply_json_to_schedule(json.loads(trace), schedule)
    return schedule


class AnsorEngine:
    """The search for one task. ``batch`` is how many candidates one evolution yields; see ``Engine``.

    The population is far smaller than MetaSchedule's 512: on convolutions its search would take
    twice the time of building and measuring together, for no better result in equal time.
    """

    def __init__(
        self,
        module: tvm.ir.IRModule,
        target: tvm.target.Target,
        name: str,
        cost_model: ms.cost_model.PyCostModel,
        *,
        seed: int,
        batch: int,
        threads: int,
    ) -> None:
        self._module = module
        self._cost_model = cost_model
        self._target = target
        strategy = ms.search_strategy.EvolutionarySearch(
            population_size=96,
            init_measured_ratio=0.3,
            init_min_unmeasured=16,
            genetic_num_iters=2,
            genetic_max_fail_count=4,
        )
        self._context = ms.TuneContext(
            mod=module,
            target=target,
            space_generator="post-order-apply",
            search_strategy=strategy,
            task_name=name,
            rand_state=seed % (2**31 - 2) + 1,
            num_threads=threads,
        )
        self._database = ms.database.MemoryDatabase()
        self._workload = self._database.commit_workload(module)
        self._seen: set[str] = set()
        self._ready: list[Candidate] = []
        self._context.pre_tuning(
            max_trials=2**30,
            num_trials_per_iter=batch,
            design_spaces=self._context.generate_design_space(),
            database=self._database,
            cost_model=cost_model,
        )

    def propose(self, count: int) -> list[Candidate]:
        for _ in range(_EMPTY_BATCHES):
            if self._ready:
                break
            found = self._context.generate_measure_candidates()
            if found is None:
                break
            for measured in found:
                candidate = self._candidate(measured)
                if candidate.key not in self._seen:
                    self._seen.add(candidate.key)
                    self._ready.append(candidate)
        chosen, self._ready = self._ready[:count], self._ready[count:]
        return chosen

    def report(self, results: Sequence[Learned]) -> None:
        if not results:
            return
        candidates = [learned.candidate.handle for learned in results]
        outcomes = []
        for learned in results:
            run_secs = list(learned.run_secs) or [_FAILED_S]
            outcomes.append(ms.runner.RunnerResult(run_secs, None))
            record = ms.database.TuningRecord(
                learned.candidate.handle.sch.trace,
                self._workload,
                run_secs,
                self._target,
                learned.candidate.handle.args_info,
            )
            self._database.commit_tuning_record(record)
        self._cost_model.update(self._context, candidates, outcomes)

    def replay(self, trace: str, run_secs: tuple[float, ...]) -> bool:
        try:
            schedule = apply_trace(self._module, trace)
        except Exception:  # noqa: BLE001 - a trace of another workload fails in whatever way its first misfit does
            return False
        arguments = ms.arg_info.ArgInfo.from_entry_func(schedule.mod, remove_preproc=True)
        candidate = self._candidate(ms.MeasureCandidate(schedule, arguments))
        self._seen.add(candidate.key)
        self.report([Learned(candidate, run_secs)])
        return True

    def _candidate(self, measured: ms.MeasureCandidate) -> Candidate:
        scheduled = measured.sch.mod
        return Candidate(
            key=ms.utils.shash2hex(scheduled),
            trace=json.dumps(measured.sch.trace.as_json(), separators=(",", ":"), default=_plain),
            module=tvm.ir.save_json(scheduled),
            handle=measured,
        )


def _plain(value: object) -> int | float | str:
    """TVM's own scalars as JSON's."""
    if isinstance(value, tvm.tirx.IntImm):
        return int(value)
    if isinstance(value, tvm.tirx.FloatImm):
        return float(value.value)
    if isinstance(value, tvm.tirx.StringImm):
        return str(value.value)
    raise TypeError(f"a trace holds a {type(value).__name__}, which JSON cannot carry")
