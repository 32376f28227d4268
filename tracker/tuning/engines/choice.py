"""Which engine searches a task, of those that a job may ask for (``ENGINES`` in the domain)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import tvm

from tracker.domain.job import ENGINES
from tracker.tuning.engines import ansor
from tracker.tuning.engines.autotvm import NoTemplate, Template
from tracker.tuning.engines.autotvm import engine as autotvm
from tracker.tuning.engines.base import Engine
from tracker.tuning.errors import InputError

__all__ = ["Choice", "Chooser"]

_AUTOTVM = "autotvm"
_DEFAULT_TUNER = "xgb"


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
    every operator of it fast, and an operator without a template is no reason to ship it untuned. Raises InputError
    for a name that is no engine's.
    """

    def __init__(self, name: str, target: tvm.target.Target, *, seed: int, templates: Sequence[Template] = ()) -> None:
        if name not in ENGINES:
            raise InputError(f"there is no engine '{name}': this farm has {', '.join(ENGINES)}")
        family, _, tuner = name.partition("-")
        self._name = name
        self._tuner = (tuner or _DEFAULT_TUNER) if family == _AUTOTVM else ""
        self._target = target
        self._templates = tuple(templates)
        self._of_rules = ansor.Experience(threads=1, seed=seed)
        self._of_templates = autotvm.Experience(threads=1, seed=seed)

    def choose(self, module: tvm.ir.IRModule, name: str) -> Choice:
        """For the task ``name``. Raises TemplateError where the template that matches it cannot be used."""
        by_rules = partial(ansor.AnsorEngine, module, self._target, name, self._of_rules)
        if not self._tuner:
            return Choice("ansor", "", lambda seed: by_rules(seed=seed))
        try:
            space = autotvm.describe(module, self._target, name, self._templates)
        except NoTemplate as error:
            without = json.dumps({"engine": "ansor", "note": str(error)})
            return Choice("ansor", without, lambda seed: by_rules(seed=seed))
        by_template = partial(autotvm.AutoTvmEngine, module, self._target, name, self._of_templates)
        return Choice(
            self._name, space, lambda seed: by_template(seed=seed, tuner=self._tuner, templates=self._templates)
        )
