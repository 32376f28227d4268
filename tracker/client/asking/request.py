"""A job as it is asked for, before its files are sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tvm_farm.protos.measurement import Artifact
from tvm_farm.tracker.client.artifacts import file_digest
from tvm_farm.tracker.client.asking.external_data import external_files
from tvm_farm.tracker.client.asking.names import ARGUMENTS, Names
from tvm_farm.tracker.client.asking.subject import check_inputs, check_templates, subject_of
from tvm_farm.tracker.client.asking.values import (
    MAX_SEED,
    MAX_TRIALS,
    Fixed,
    Parameters,
    Shapes,
    fixed_of,
    parameters_of,
    parse_whole,
    seconds_of,
    shapes_of,
    target_of,
)
from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.client.packages.owned import Owner
from tvm_farm.tracker.client.user import user_name
from tvm_farm.tracker.domain.engine import DEFAULT_TUNER, ENGINES
from tvm_farm.tracker.domain.errors import InvalidRequest, sentence
from tvm_farm.tracker.domain.job import JobKind, JobSpec, check_priority

__all__ = ["DEFAULT_BUDGET_S", "JobRequest", "job_request"]

#: A tune's, where neither trials nor time are limited.
DEFAULT_BUDGET_S = 600.0

T = TypeVar("T")


@dataclass(frozen=True)
class JobRequest:
    """``spec``: still without its files, which are here. ``data``: those in which the model keeps its weights, by their
    names in its folder.
    """

    spec: JobSpec
    model: Path
    templates: tuple[Path, ...] = ()
    inputs: Path | None = None
    data: tuple[str, ...] = ()

    @property
    def owner(self) -> Owner:
        """Whose package will come of it. Raises BadInput where the model's file cannot be read."""
        try:
            return Owner(self.spec.model_name, file_digest(self.model)[0])
        except OSError as error:
            raise BadInput(f"Cannot read {self.model}: {error.strerror}.") from None


def job_request(
    kind: JobKind,
    model: str | os.PathLike[str],
    *,
    pool: str = "",
    device_class: str = "",
    budget: float | str | None = None,
    trials: int | None = None,
    tuner: str = DEFAULT_TUNER,
    shapes: Shapes = (),
    fix: Fixed = (),
    parameters: Parameters = (),
    inputs: str | os.PathLike[str] | None = None,
    target: str | Mapping[str, object] = "",
    seed: int = 0,
    fresh: bool = False,
    priority: int = 0,
    templates: Iterable[str | os.PathLike[str]] = (),
    names: Names = ARGUMENTS,
) -> JobRequest:
    """What ``Farm.tune`` and the commands ask for; ``Farm.tune`` tells what each means. ``names``: see there.

    A tune with no limit has ``DEFAULT_BUDGET_S``. Raises BadInput for all that can be known of it here.
    """
    if tuner not in ENGINES:
        raise BadInput(f"{names.tuner}: there is no {tuner!r}; choose one of {', '.join(ENGINES)}.")
    if kind is not JobKind.CHECK and not pool:
        raise BadInput(f"{names.pool} is missing: it names the devices, see `farm pools`.")
    if kind is JobKind.TUNE and trials is None and budget is None:
        budget = DEFAULT_BUDGET_S
    read_shapes = _read(names.shapes, shapes_of, shapes)
    read_parameters = _read(names.parameters, parameters_of, parameters)
    fixed = _read(names.fix, fixed_of, fix)
    files = tuple(map(Path, templates))
    arrays = None if inputs is None else Path(inputs)
    subject = subject_of(Path(model), read_shapes, read_parameters, fixed, names)
    data = () if subject.operator else _external_files(subject.path)
    check_templates(files, tuner, names)
    if arrays is not None:
        check_inputs(arrays, read_shapes, names)
    spec = JobSpec(
        kind=kind,
        model_name=subject.name,
        model=Artifact("", 0),
        pool=pool,
        engine=tuner,
        max_trials=0 if trials is None else _read(names.trials, lambda n: parse_whole(str(n), 1, MAX_TRIALS), trials),
        budget_s=0.0 if budget is None else _read(names.budget, seconds_of, budget),
        shapes=read_shapes,
        seed=_read(names.seed, lambda n: parse_whole(str(n), 0, MAX_SEED), seed),
        user=user_name(),
        priority=_priority(priority),
        device_class=device_class,
        target=_read(names.target, target_of, target),
        operator=subject.operator,
        parameters=read_parameters,
        fresh=fresh,
        fixed=fixed,
    )
    return JobRequest(spec, subject.path, files, arrays, data)


def _external_files(model: Path) -> tuple[str, ...]:
    try:
        return external_files(model)
    except (OSError, ValueError) as error:  # a pipe, or what else cannot be mapped
        raise BadInput(f"Cannot read {model}: {error}.") from None


def _read(name: str, read: Callable[[object], T] | Callable[..., T], given: object) -> T:
    try:
        return read(given)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"{name}: {error}.") from None


def _priority(given: int) -> int:
    try:
        check_priority(given)
    except InvalidRequest as error:
        raise BadInput(sentence(str(error))) from None
    return given
