"""Which engine searches a task, of those that a job may ask for (tracker/domain/engine.py)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import tvm

from tvm_farm.tracker.domain.engine import ANSOR, AUTO, AUTOTVM
from tvm_farm.tracker.domain.job import JobSpec
from tvm_farm.tracker.tuning.engines.base import Engine, NotSearched, Setting
from tvm_farm.tracker.tuning.engines.registry import check, maker

__all__ = ["Choice", "Chooser", "better_by_rules", "trials_a_task"]

#: What two builders and a board make of a second of budget (benchmarks/README.md, anytime).
_TRIALS_A_SECOND = 5.0
#: The templates that know of an operator only that it adds up, and from how many trials rules find more than each
#: (benchmarks/README.md, engines).
_RULES_PAY_FROM = {"reduction": 128, "rows": 0}


@dataclass(frozen=True)
class Choice:
    """``engine``: what it is called in records. ``space``: its knobs as JSON, see ``Task``; "" where it has none.

    ``new``: makes the engine from a seed; the search of one task of one job.
    """

    engine: str
    space: str
    new: Callable[[int], Engine]


class Chooser:
    """The engines of one job's tasks and what they learn together.

    A task that is not for the engine that the job asks for is searched by ``ansor``: a person who tunes a model wants
    every operator of it fast, and an operator without a template is no reason to ship it untuned. ``auto`` takes for
    each task the engine that ``better_by_rules`` tells for ``trials`` of it. Raises InputError for a name that is no
    engine's.
    """

    def __init__(self, name: str, setting: Setting, trials: float = math.inf) -> None:
        check(name)
        self._auto = name == AUTO
        self._engine = AUTOTVM if self._auto else name
        self._own = maker(self._engine, setting)
        self._by_rules = self._own if self._engine == ANSOR else maker(ANSOR, setting)
        self._trials = trials

    def choose(self, module: tvm.ir.IRModule, name: str, before: str = "") -> Choice:
        """For the task ``name``. ``before``: the space that the job's task has already; a job that goes on, with
        however many trials, does so with the engines that it began with.

        Raises InputError where what a person sent for the task, a template of their own, cannot be used.
        """
        try:
            space = self._own.space(module, name)
        except NotSearched as error:
            return self._ruled(module, name, _without(str(error)))
        # A person who sends a template with the job wants it searched.
        if self._auto and "file" not in json.loads(space):
            if before and json.loads(before)["engine"] == ANSOR:
                return self._ruled(module, name, before)
            template = json.loads(space)["template"]
            if not before and (why := better_by_rules(template, self._trials)):
                return self._ruled(module, name, _without(why, passed_over=template))
        return Choice(self._engine, space, partial(self._own.new, module, name))

    def _ruled(self, module: tvm.ir.IRModule, name: str, space: str) -> Choice:
        return Choice(ANSOR, space, partial(self._by_rules.new, module, name))


def _without(why: str, **more: str) -> str:
    return json.dumps({"engine": ANSOR, "note": why, **more})


def better_by_rules(template: str, trials: float) -> str:
    """Why a task that ``template`` of the farm's matches is better left to ``ansor``; "" where it is not.

    On average over such operators a template of one structure is ahead of rules in every number of trials. One that
    matches whatever adds up is so while trials are few; in the end rules find what it does not have.
    """
    pays_from = _RULES_PAY_FROM.get(template)
    if pays_from is None or trials < pays_from:
        return ""
    least = f" from {pays_from} trials on" if pays_from else ""
    return f"the template {template} finds less{least}"


def trials_a_task(spec: JobSpec, tasks: int) -> float:
    """What a job's budget comes to for each of its tasks; infinite where it has no limit."""
    by_number = spec.max_trials or math.inf
    by_time = _TRIALS_A_SECOND * spec.budget_s or math.inf
    return min(by_number, by_time) / max(1, tasks)
