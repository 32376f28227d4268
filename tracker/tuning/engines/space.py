"""The schedules of one task, as MetaSchedule's rules for its target span them.

``PostOrderApply`` walks the blocks of a workload and applies the target's rules: a handful of
sketches come of it, each a trace whose sampling decisions are open. A point of the space is a
sketch with its decisions made, put through the target's postprocessors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm.s_tir import Schedule
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.schedule import Trace

from tvm_farm.tracker.tuning.building.intrinsics import register_intrinsics
from tvm_farm.tracker.tuning.engines.sketch import Decisions, Sketch
from tvm_farm.tracker.tuning.engines.tiles import tiles_in_one_piece
from tvm_farm.tracker.tuning.engines.traces import apply_trace, trace_json

__all__ = ["Space", "apply_trace", "trace_json"]

_SEEDS = 2**31 - 2
register_intrinsics()


class Space:
    """Points are schedules that passed every postprocessor. Whatever is drawn at random is drawn from ``rng``."""

    def __init__(self, module: tvm.ir.IRModule, target: tvm.target.Target, name: str, seed: int) -> None:
        self._module = module
        context = partial(
            ms.TuneContext, mod=module, target=target, task_name=name, rand_state=seed % _SEEDS + 1, num_threads=1
        )
        self._context = context(space_generator="post-order-apply")
        designs = self._context.generate_design_space()
        if not all(tiles_in_one_piece(design.mod) for design in designs):
            self._context = context(space_generator=_without_intrinsics(self._context.space_generator))
            designs = self._context.generate_design_space()
        self._designs = [design.trace for design in designs]
        rules = self._context.space_generator
        self._postprocessors = list(rules.postprocs or ())
        weighted = [(mutator, float(weight)) for mutator, weight in (rules.mutator_probs or {}).items()]
        self._mutators = [mutator for mutator, _ in weighted]
        self._weights = [weight for _, weight in weighted]
        self._extractor = ms.feature_extractor.PerStoreFeature()

    def __len__(self) -> int:
        """How many sketches it has."""
        return len(self._designs)

    def sample(self, rng: Random) -> Schedule | None:
        """A point with every decision drawn anew; None where it does not pass."""
        return self._realize(Trace(rng.choice(self._designs).insts, {}), rng)

    def mutate(self, trace: Trace, rng: Random) -> Schedule | None:
        """A point that differs from ``trace`` by one decision; None where there is none or it does not pass."""
        if not self._mutators:
            return None
        mutator = rng.choices(self._mutators, self._weights)[0]
        # ``Mutator.apply`` seeds itself from the clock; its function takes the seed.
        mutated = ms._ffi_api.MutatorApply(mutator, trace, rng.randrange(_SEEDS) + 1)
        return None if mutated is None else self._realize(mutated, rng)

    def decided(self, sketch: Sketch, decisions: Decisions, rng: Random) -> Schedule | None:
        """The point of ``sketch`` with ``decisions``; None where they do not apply or it does not pass."""
        schedule = self._blank(rng)
        try:
            Trace.apply_json_to_schedule(sketch.decided(decisions), schedule)
        except Exception:  # noqa: BLE001 - decisions of another task fail in whatever way their first misfit does
            return None
        return self._passed(schedule)

    def features(self, schedules: Sequence[Schedule]) -> list[NDArray[np.float32]]:
        """Per-store features of each (float32, stores x 164), as in Ansor's paper, table 4 of the appendix."""
        candidates = [ms.MeasureCandidate(schedule, []) for schedule in schedules]
        found = self._extractor.extract_from(self._context, candidates)
        return [features.numpy().astype(np.float32) for features in found]

    def _realize(self, trace: Trace, rng: Random) -> Schedule | None:
        schedule = self._blank(rng)
        try:
            trace.apply_to_schedule(schedule, remove_postproc=True)
        except Exception:  # noqa: BLE001 - as above: TVM's own search drops what fails in whatever way
            return None
        return self._passed(schedule)

    def _blank(self, rng: Random) -> Schedule:
        return Schedule(self._module, seed=rng.randrange(_SEEDS) + 1, debug_mask="none", error_render_level="none")

    def _passed(self, schedule: Schedule) -> Schedule | None:
        try:
            schedule.enter_postproc()
            passed = all(step.apply(schedule) for step in self._postprocessors)
        except Exception:  # noqa: BLE001 - one point that breaks a postprocessor must not end its task's search
            return None
        return schedule if passed else None


def _without_intrinsics(rules: ms.space_generator.SpaceGenerator) -> ms.space_generator.PostOrderApply:
    tensorizes = ms.schedule_rule.MultiLevelTilingWithIntrin
    return ms.space_generator.PostOrderApply(
        sch_rules=[rule for rule in rules.sch_rules or () if not isinstance(rule, tensorizes)],
        postprocs=list(rules.postprocs or ()),
        mutator_probs=dict(rules.mutator_probs or {}),
    )
