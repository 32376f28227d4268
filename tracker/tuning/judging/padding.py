"""Whether a model that was compiled for a larger input answers a smaller one, padded with zeros, as its file does.

Nothing in a graph says so in general: a batch is independent of its neighbours, a convolution is not. So it is tried:
the original file runs on the smaller shape itself, and the import on the padded one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracker.tuning.errors import TuningError
from tracker.tuning.judging.comparison import compare
from tracker.tuning.judging.inputs import random_inputs
from tracker.tuning.judging.reference import tolerance_of
from tracker.tuning.models.importers.base import ImportedModel, TensorInfo
from tracker.tuning.models.shipped.run import cropped, padded

__all__ = ["padding_of"]

log = logging.getLogger(__name__)

Run = Callable[[ImportedModel, Sequence[np.ndarray]], list[np.ndarray]]


def padding_of(models: Sequence[ImportedModel], run: Run, seed: int) -> dict[str, Any] | None:
    """How inputs between the shapes of ``models``, smallest first, are padded and outputs cropped; None: they are not.

    ``inputs``: axes by name. ``outputs``: by name, each with its ``axis``, the ``input`` and ``input_axis`` that its
    size follows, and which way a fraction is rounded: ``up`` or ``down``. ``run`` gives an import's answers.
    """
    inputs = _varying([model.inputs for model in models])
    if not inputs or len(models) < 2:
        return None
    outputs = _varying([model.outputs for model in models])
    source = next((name, axes[0]) for name, axes in inputs.items())
    for direction in ("up", "down"):
        crops = {
            name: [{"axis": axis, "input": source[0], "input_axis": source[1], "round": direction} for axis in axes]
            for name, axes in outputs.items()
        }
        padding = {"inputs": inputs, "outputs": crops}
        if all(_answers(model, _between(before, model), padding, run, seed) for before, model in _steps(models)):
            return padding
        if not outputs:
            break
    return None


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


def _between(before: ImportedModel | None, model: ImportedModel) -> list[tuple[int, ...]]:
    """The smallest shapes that ``model`` would answer: the worst case of its padding."""
    shapes = []
    for number, info in enumerate(model.inputs):
        smaller = before.inputs[number].shape if before else tuple(max(1, size // 2) for size in info.shape)
        shapes.append(
            tuple(
                size if size == least else min(size, least + 1) for size, least in zip(info.shape, smaller, strict=True)
            )
        )
    return shapes


def _answers(
    model: ImportedModel, shapes: Sequence[tuple[int, ...]], padding: Mapping[str, Any], run: Run, seed: int
) -> bool:
    """Whether ``model`` answers inputs of ``shapes``, padded, as the original file does."""
    axes = padding["inputs"]
    shapes = [
        tuple(size if axis in axes.get(info.name, ()) else info.shape[axis] for axis, size in enumerate(shape))
        for info, shape in zip(model.inputs, shapes, strict=True)
    ]
    small = [TensorInfo(info.name, shape, info.dtype) for info, shape in zip(model.inputs, shapes, strict=True)]
    given = random_inputs(small, seed, model.bounds)
    try:
        expected = model.judge.answers(given, [output.name for output in model.outputs])
        whole = run(model, [padded(x, list(info.shape)) for x, info in zip(given, model.inputs, strict=True)])
    except TuningError as error:
        log.info("not padded: %s", error)
        return False
    variant = {
        "inputs": [{"name": info.name, "shape": list(info.shape)} for info in model.inputs],
        "outputs": [{"name": info.name, "shape": list(info.shape)} for info in model.outputs],
    }
    found = compare(expected, cropped(whole, list(shapes), variant, dict(padding)), tolerance_of(model))
    if not found.equal:
        log.info("not padded from %s: %s", shapes, found.wrong)
    return found.equal
