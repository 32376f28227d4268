"""Which engine searches a task, of those that a job may ask for (tracker/domain/engine.py)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import tvm

from tvm_farm.tracker.domain.engine import ANSOR, AUTO, AUTOTVM, ENGINES, TUNERS
from tvm_farm.tracker.domain.job import JobSpec
from tvm_farm.tracker.tuning.engines import ansor
from tvm_farm.tracker.tuning.engines.autotvm import NoTemplate, Template
from tvm_farm.tracker.tuning.engines.autotvm import engine as autotvm
from tvm_farm.tracker.tuning.engines.base import Engine
from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.foreign_code import ends_in_time

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

    Where the job asks for templates and none matches a task, ``ansor`` searches it: a person who tunes a model wants
    every operator of it fast, and an operator without a template is no reason to ship it untuned. ``auto`` takes for
    each task the engine that ``better_by_rules`` tells for ``trials`` of it. Raises InputError for a name that is no
    engine's.
    """

    def __init__(
        self,
        name: str,
        target: tvm.target.Target,
        *,
        seed: int,
        templates: Sequence[Template] = (),
        trials: float = math.inf,
    ) -> None:
        if name not in ENGINES:
            raise InputError(f"there is no engine '{name}': this farm has {', '.join(ENGINES)}")
        family, _, tuner = name.partition("-")
        self._auto = name == AUTO
        self._templated = AUTOTVM if self._auto else name if family == AUTOTVM else ""
        self._tuner = tuner or TUNERS[0]
        self._target = target
        self._templates = tuple(templates)
        self._trials = trials
        self._of_rules = ansor.Experience(threads=1, seed=seed)
        self._of_templates = autotvm.Experience(threads=1, seed=seed)

    def choose(self, module: tvm.ir.IRModule, name: str, before: str = "") -> Choice:
        """For the task ``name``. ``before``: the space that the job's task has already; a job that goes on, with
        however many trials, does so with the engines that it began with.

        Raises TemplateError where the template that matches it cannot be used.
        """
        if not self._templated:
            return self._by_rules(module, name, "")
        try:
            with ends_in_time():
                space = autotvm.describe(module, self._target, name, self._templates)
        except NoTemplate as error:
            return self._by_rules(module, name, _without(str(error)))
        # A person who sends a template with the job wants it searched.
        if self._auto and "file" not in json.loads(space):
            if before and json.loads(before)["engine"] == ANSOR:
                return self._by_rules(module, name, before)
            template = json.loads(space)["template"]
            if not before and (why := better_by_rules(template, self._trials)):
                return self._by_rules(module, name, _without(why, passed_over=template))
        by_template = partial(autotvm.AutoTvmEngine, module, self._target, name, self._of_templates)
        return Choice(
            self._templated, space, lambda seed: by_template(seed=seed, tuner=self._tuner, templates=self._templates)
        )

    def _by_rules(self, module: tvm.ir.IRModule, name: str, space: str) -> Choice:
        return Choice(
            ANSOR, space, lambda seed: ansor.AnsorEngine(module, self._target, name, self._of_rules, seed=seed)
        )


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
