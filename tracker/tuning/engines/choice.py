"""Which engine searches a task, of those that a job may ask for (``ENGINES`` in the domain)."""

from __future__ import annotations

from collections.abc import Sequence

import tvm

from tracker.domain import ENGINES
from tracker.tuning.engines import ansor
from tracker.tuning.engines.autotvm import NoTemplate, Template
from tracker.tuning.engines.autotvm.engine import AutoTvmEngine
from tracker.tuning.engines.autotvm.engine import Experience as TemplateExperience
from tracker.tuning.engines.base import Engine
from tracker.tuning.errors import InputError

__all__ = ["Chooser"]

_AUTOTVM = "autotvm"
_DEFAULT_TUNER = "xgb"


class Chooser:
    """The engines of one job's tasks and what they learn together.

    Where the job asks for templates and none matches a task, ``ansor`` searches it: a person who tunes a model wants
    every operator of it fast, and a pooling without a template is no reason to ship it untuned. Raises InputError for
    a name that is no engine's.
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
        self._of_templates = TemplateExperience(threads=1, seed=seed)

    def engine(self, module: tvm.ir.IRModule, name: str, *, seed: int) -> tuple[str, Engine]:
        """A new engine for the task ``name``, and what it is called in records. Raises TemplateError."""
        if self._tuner:
            try:
                return self._name, AutoTvmEngine(
                    module,
                    self._target,
                    name,
                    self._of_templates,
                    seed=seed,
                    tuner=self._tuner,
                    templates=self._templates,
                )
            except NoTemplate:
                pass
        return "ansor", ansor.AnsorEngine(module, self._target, name, self._of_rules, seed=seed)
