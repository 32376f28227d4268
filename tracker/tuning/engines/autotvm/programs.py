"""The programs of one task: a template and a point of its space become a schedule, whose trace tells both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm.s_tir import Schedule
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.schedule import Trace

from tvm_farm.tracker.domain.engine import AUTOTVM
from tvm_farm.tracker.tuning.engines.autotvm.anchor import Anchor
from tvm_farm.tracker.tuning.engines.autotvm.config import Config
from tvm_farm.tracker.tuning.engines.autotvm.config_space import ConfigSpace, Point, Value
from tvm_farm.tracker.tuning.engines.autotvm.errors import InvalidPoint, NoTemplate, TemplateError
from tvm_farm.tracker.tuning.engines.autotvm.hardware import Hardware, kinds_of
from tvm_farm.tracker.tuning.engines.autotvm.template import Match, Template, best_match
from tvm_farm.tracker.tuning.engines.base import Candidate
from tvm_farm.tracker.tuning.engines.space import apply_trace, trace_json
from tvm_farm.tracker.tuning.errors import InputError

__all__ = ["CONFIG", "Program", "Programs"]

#: The annotation that a trace sets on the anchor block and takes away again: the module does not change, and the point
#: can be read from the trace.
CONFIG = "tvm_farm.config"
#: Points that are tried before a template counts as one that does not fit.
_TRIED = 12


@dataclass(frozen=True, eq=False)
class Program:
    """A schedule. ``key``: of what it compiles to; ``features``: of its stores, as ``CostModel`` takes them."""

    key: str
    trace: Trace
    features: NDArray[np.float32]


class Programs:
    """Raises NoTemplate where no template matches, or one of the farm's that cannot be used; TemplateError where that
    is a person's own."""

    def __init__(
        self, module: tvm.ir.IRModule, target: tvm.target.Target, name: str, templates: Sequence[Template]
    ) -> None:
        self._module = module
        self._target = target
        self._name = name
        anchor = Anchor.of(module)
        match = best_match(templates, anchor, target) if anchor is not None else None
        if match is None:
            raise NoTemplate(f"no template matches {name}")
        self._match: Match = match
        self._hardware = Hardware.of(target)
        self._context = ms.TuneContext(mod=module, target=target, task_name=name, num_threads=1)
        self._extractor = ms.feature_extractor.PerStoreFeature()
        self._stopped = ""
        try:
            self.space = self._collect()
        except TemplateError as error:
            raise self._of_template(error) from error

    @property
    def template(self) -> Template:
        return self._match.template

    def describe(self) -> str:
        """The space as JSON, for people. ``file``: of a person's own template."""
        file = {"file": self.template.file} if self.template.file else {}
        return json.dumps({"engine": AUTOTVM, **file, **self.space.describe()}, separators=(",", ":"))

    def try_out(self) -> None:
        """Raises TemplateError where none of a few points gives a schedule."""
        rng, refused = Random(1), "its limits leave too little"
        try:
            for _ in range(_TRIED):
                point = self.space.sample(rng)
                if point is None:
                    continue
                try:
                    self.realize(point)
                except InvalidPoint as error:
                    refused = str(error)
                else:
                    return
            raise self.without_schedules(refused)
        except TemplateError as error:
            raise self._of_template(error) from error

    def without_schedules(self, reason: object) -> TemplateError:
        """What is said of a template whose points are refused."""
        file = f"{self.template.file}: " if self.template.file else ""
        return TemplateError(f"{file}template {self.template.name} yields no valid schedule of {self._name}: {reason}")

    # -- from a point to a program

    def _collect(self) -> ConfigSpace:
        schedule = self._blank()
        config = self._run(schedule, None)
        return ConfigSpace(self.template.name, list(config.knobs.values()), config.limits)

    def _of_template(self, error: TemplateError) -> InputError:
        """``error`` with file and line of a person's own template; one of the farm's that fails does not match."""
        if not self.template.file:
            return NoTemplate(str(error))
        if str(error).startswith(self.template.file):
            return error
        return TemplateError(f"{self._at(error.__cause__ or error)}{error}")

    def realize(self, point: Point) -> Program:
        """Raises InvalidPoint where the schedule is refused, TemplateError where the template is at fault."""
        schedule = self._blank()
        block = schedule.get_sblock(self._match.anchor.block)
        schedule.annotate(block, CONFIG, self.space.write(point))
        schedule.unannotate(block, CONFIG)
        try:
            self._run(schedule, self.space.values(point))
        except RuntimeError as error:
            raise InvalidPoint(_last_line(error)) from error
        return self._program(schedule)

    def replayed(self, trace: str) -> tuple[Program, Point | None]:
        """What a trace of any engine makes of this task, and the point that made it. Raises what TVM raises where it
        does not apply."""
        program, point = self._program(apply_trace(self._module, trace)), self.point_of(trace)
        return program, point if point is not None and self._makes(point, program) else None

    def _makes(self, point: Point, program: Program) -> bool:
        """Whether it does so today: a person who edits a template keeps the names of its knobs."""
        try:
            return self.realize(point).key == program.key
        except InvalidPoint:
            return False

    def candidate(self, program: Program) -> Candidate:
        trace = trace_json(program.trace)
        return Candidate(program.key, trace, tvm.ir.save_json(apply_trace(self._module, trace).mod))

    def point_of(self, trace: str) -> Point | None:
        """The point that made ``trace``; None for traces of others."""
        written = _config(trace)
        return None if written is None else self.space.read(written)

    def point_like(self, trace: str) -> Point | None:
        """The point most like the one that made ``trace`` of another shape; None where no such point is near."""
        written = _config(trace)
        return None if written is None else self.space.nearest(written)

    # -- parts

    def _blank(self) -> Schedule:
        return Schedule(self._module, seed=1, debug_mask="none", error_render_level="fast")

    def _run(self, schedule: Schedule, values: dict[str, Value] | None) -> Config:
        template = self.template
        config = Config(
            template.name, schedule, self._target, self._match.anchor, self._match.axes, self._hardware, values
        )
        try:
            template.apply(schedule, config)
        except TemplateError as error:
            stopped = f" (its first run stopped there: {self._stopped})" if self._stopped else ""
            raise TemplateError(f"{self._at(error)}{error}{stopped}") from error
        except RuntimeError as error:
            if values is not None:
                raise
            # The first options of all knobs need not go together; their names are what this run was for.
            if not config.knobs:
                raise TemplateError(
                    f"{self._at(error)}template {template.name} failed before its first knob: {_last_line(error)}"
                ) from error
            self._stopped = f"{self._at(error)}{_last_line(error)}"
        except Exception as error:
            raise TemplateError(
                f"{self._at(error)}template {template.name} failed: {type(error).__name__}: {_last_line(error)}"
            ) from error
        return config

    def _at(self, error: BaseException) -> str:
        """Where in a person's file it happened."""
        return f"{self.template.where(error)}: " if self.template.file else ""

    @cached_property
    def _verify_gpu(self) -> ms.postproc.Postproc:
        verify = ms.postproc.VerifyGPUCode()
        verify._initialize_with_tune_context(self._context)
        return verify

    def _program(self, schedule: Schedule) -> Program:
        if "gpu" in kinds_of(self._target) and not self._verify_gpu.apply(schedule):
            raise InvalidPoint("it needs more threads, registers or shared memory than the device has")
        candidate = ms.MeasureCandidate(schedule, [])
        try:
            [features] = self._extractor.extract_from(self._context, [candidate])
        except RuntimeError as error:
            raise InvalidPoint(_last_line(error)) from error
        return Program(str(ms.utils.shash2hex(schedule.mod)), schedule.trace, features.numpy().astype(np.float32))


def _config(trace: str) -> str | None:
    """What a trace says of the point that made it."""
    for kind, inputs, attributes, _ in json.loads(trace)[0]:
        if kind == "Annotate" and list(attributes) == [CONFIG]:
            return str(inputs[1]).strip('"')
    return None


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
