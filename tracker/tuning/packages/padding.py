"""Whether a model that was compiled for a larger input answers a smaller one, padded with zeros, as its file does.

Nothing in a graph says so in general: a batch is independent of its neighbours, a convolution is not. So it is tried:
the original file runs on the smaller shape itself, and the import on the padded one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tvm_farm.tracker.tuning.errors import TuningError
from tvm_farm.tracker.tuning.judging.comparison import compare
from tvm_farm.tracker.tuning.judging.inputs import random_inputs
from tvm_farm.tracker.tuning.judging.reference import floors_of, tolerance_of
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel, TensorInfo
from tvm_farm.tracker.tuning.packages.shipped.run import cropped, padded

__all__ = ["PaddedCase", "Padding", "padding_of"]

log = logging.getLogger(__name__)

Run = Callable[[ImportedModel, Sequence[np.ndarray]], list[np.ndarray]]


@dataclass(frozen=True)
class PaddedCase:
    """The smallest inputs that are padded to a model's shapes, and what the original file answers to them as they are.

    ``floors``: see ``compare``. ``max_abs_diff``: how far the model's answers are from those.
    """

    inputs: list[np.ndarray] = field(repr=False)
    expected: list[np.ndarray] = field(repr=False)
    floors: list[float]
    max_abs_diff: float = 0.0


@dataclass(frozen=True)
class Padding:
    """How inputs between the shapes of several models are padded and outputs cropped, as the manifest has it.

    ``inputs``: axes by name. ``outputs``: by name, each with its ``axis``, the ``input`` and ``input_axis`` that its
    size follows, and which way a fraction is rounded: ``up`` or ``down``. ``worst``: of each model, None where nothing
    smaller comes to it.
    """

    manifest: dict[str, Any]
    worst: tuple[PaddedCase | None, ...]


def padding_of(models: Sequence[ImportedModel], run: Run, seed: int) -> Padding | None:
    """``models``: smallest first. None: nothing is padded. ``run`` gives an import's answers."""
    inputs = _varying([model.inputs for model in models])
    if not inputs or len(models) < 2:
        return None
    outputs = _varying([model.outputs for model in models])
    source = next((name, axes[0]) for name, axes in inputs.items())
    try:
        worst = tuple(_worst(model, _between(before, model, inputs), seed) for before, model in _steps(models))
    except TuningError as error:
        log.info("not padded: %s", error)
        return None
    if not any(worst):
        return None
    for direction in ("up", "down") if outputs else ("up",):
        crops = {
            name: [{"axis": axis, "input": source[0], "input_axis": source[1], "round": direction} for axis in axes]
            for name, axes in outputs.items()
        }
        padding = {"inputs": inputs, "outputs": crops}
        if (answered := _answered(models, worst, padding, run)) is not None:
            return Padding(padding, answered)
    return None


def _answered(
    models: Sequence[ImportedModel], worst: Sequence[PaddedCase | None], padding: dict[str, Any], run: Run
) -> tuple[PaddedCase | None, ...] | None:
    """``worst`` with the differences, None where some are answered otherwise than by the original file."""
    told = []
    for model, case in zip(models, worst, strict=True):
        if case is not None and (case := _answer(model, case, padding, run)) is None:
            return None
        told.append(case)
    return tuple(told)


def _steps(models: Sequence[ImportedModel]) -> list[tuple[ImportedModel | None, ImportedModel]]:
    return list(zip([None, *models[:-1]], models, strict=True))


def _varying(infos: Sequence[Sequence[TensorInfo]]) -> dict[str, list[int]]:
    """Axes by name whose sizes differ between the models."""
    found = {}
    for tensors in zip(*infos, strict=True):
        axes = [axis for axis, sizes in enumerate(zip(*(t.shape for t in tensors), strict=True)) if len(set(sizes)) > 1]
        if axes:
            found[tensors[0].name] = axes
    return found


def _between(
    before: ImportedModel | None, model: ImportedModel, axes: Mapping[str, Sequence[int]]
) -> list[tuple[int, ...]]:
    """The smallest shapes that ``model`` would answer: the worst case of its padding."""
    shapes = []
    for number, info in enumerate(model.inputs):
        smaller = before.inputs[number].shape if before else tuple(max(1, size // 2) for size in info.shape)
        varying = axes.get(info.name, ())
        shapes.append(
            tuple(
                min(size, least + 1) if axis in varying and size != least else size
                for axis, (size, least) in enumerate(zip(info.shape, smaller, strict=True))
            )
        )
    return shapes


def _worst(model: ImportedModel, shapes: Sequence[tuple[int, ...]], seed: int) -> PaddedCase | None:
    """Raises JudgeError where the original file does not take inputs of ``shapes``."""
    small = [TensorInfo(info.name, shape, info.dtype) for info, shape in zip(model.inputs, shapes, strict=True)]
    if small == [*model.inputs]:
        return None
    inputs, names = random_inputs(small, seed, model.bounds), [output.name for output in model.outputs]
    expected = model.judge.answers(inputs, names)
    return PaddedCase(inputs, expected, floors_of(model, inputs, names, expected))


def _answer(model: ImportedModel, case: PaddedCase, padding: dict[str, Any], run: Run) -> PaddedCase | None:
    """``case`` with its difference, None where ``model`` answers it otherwise than the original file."""
    try:
        whole = run(model, [padded(x, list(info.shape)) for x, info in zip(case.inputs, model.inputs, strict=True)])
    except TuningError as error:
        log.info("not padded: %s", error)
        return None
    variant = {
        "inputs": [{"name": info.name, "shape": list(info.shape)} for info in model.inputs],
        "outputs": [{"name": info.name, "shape": list(info.shape)} for info in model.outputs],
    }
    shapes = [array.shape for array in case.inputs]
    found = compare(case.expected, cropped(whole, shapes, variant, padding), tolerance_of(model), (), case.floors)
    if not found.equal:
        log.info("not padded from %s: %s", shapes, found.wrong)
        return None
    return replace(case, max_abs_diff=found.max_abs_diff)
