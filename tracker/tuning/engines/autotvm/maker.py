"""What makes engine ``autotvm`` for the tasks of a job."""

from __future__ import annotations

import tvm

from tvm_farm.tracker.domain.engine import TUNERS
from tvm_farm.tracker.tuning.engines.autotvm.engine import AutoTvmEngine, Experience, describe
from tvm_farm.tracker.tuning.engines.base import Setting
from tvm_farm.tracker.tuning.foreign_code import ends_in_time

__all__ = ["Maker"]


class Maker:
    """See ``base.Maker``. ``variant``: a name of TUNERS, the first where it is ""."""

    def __init__(self, setting: Setting, variant: str) -> None:
        self._setting = setting
        self._tuner = variant or TUNERS[0]
        self._experience = Experience(threads=1, seed=setting.seed)

    def space(self, module: tvm.ir.IRModule, name: str) -> str:
        """Raises NoTemplate, and TemplateError where the template that matches cannot be used."""
        with ends_in_time():
            return describe(module, self._setting.target, name, self._setting.templates)

    def new(self, module: tvm.ir.IRModule, name: str, seed: int) -> AutoTvmEngine:
        setting = self._setting
        return AutoTvmEngine(
            module,
            setting.target,
            name,
            self._experience,
            seed=seed,
            tuner=self._tuner,
            templates=setting.templates,
        )
