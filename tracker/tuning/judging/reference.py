"""What the original file answers, and whether the import does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tvm_farm.tracker.tuning.errors import InputError, JudgeError
from tvm_farm.tracker.tuning.judging.comparison import Comparison, Tolerance, compare
from tvm_farm.tracker.tuning.models.importers.base import ImportedModel, TensorInfo
from tvm_farm.tracker.tuning.models.importers.values import one_step_away

__all__ = ["Reference", "check_import", "floors_of", "reference_of", "tolerance_of"]

log = logging.getLogger(__name__)

#: How often the judge is asked again with inputs a step away, how many such steps an implementation may be off, since
#: it rounds in every operator, and the share of the largest value beyond which a difference always counts.
_SHAKEN, _MOST_MOVED = 2, 0.05
_STEPS = {"float32": 64, "float64": 64, "float16": 4, "bfloat16": 4}
#: Values that are compared in one run while a wrong one is sought, and their bytes.
_PROBES, _PROBED_BYTES = 64, 256 << 20


_OTHER_INPUTS = " The inputs were random: --inputs FILE.npz compares on inputs of your own."


@dataclass(frozen=True)
class Reference:
    """``inputs`` and what the judge answers to them. ``expected`` is None where nobody can judge: ``why`` says why.

    ``floors``: see ``compare``.
    """

    judge: str
    inputs: list[np.ndarray] = field(repr=False)
    expected: list[np.ndarray] | None = field(default=None, repr=False)
    why: str = ""
    inputs_from: str = ""
    floors: list[float] = field(default_factory=list)


def reference_of(model: ImportedModel, inputs: list[np.ndarray], inputs_from: str) -> Reference:
    """The original file's answers to ``inputs``, every output in order."""
    try:
        expected = model.judge.answers(inputs, [output.name for output in model.outputs])
    except JudgeError as error:
        log.warning("nobody judges: %s", error)
        return Reference("", inputs, None, str(error), inputs_from)
    wrong = [
        f"{output.name} is {answer.dtype.name}{list(answer.shape)} in {model.judge.name} and {output.dtype}"
        f"{list(output.shape)} in the import"
        for output, answer in zip(model.outputs, expected, strict=True)
        if (answer.shape, answer.dtype.name) != (output.shape, output.dtype)
    ]
    if wrong:
        raise InputError(f"The import is not the model: {wrong[0]}.")
    floors = floors_of(model, inputs, [output.name for output in model.outputs], expected)
    return Reference(model.judge.name, inputs, expected, "", inputs_from, floors)


def floors_of(
    model: ImportedModel, inputs: Sequence[np.ndarray], names: Sequence[str], expected: Sequence[np.ndarray]
) -> list[float]:
    """How far rounding moves each answer: the judge is asked again with inputs that are one rounding step away, or,
    where none can be, with such weights.

    A logarithm of nearly nothing or a difference of nearly equals makes much of a step, in any implementation.
    """
    random = np.random.default_rng(0)
    moved = [0.0] * len(names)
    by_inputs = any(array.dtype.kind == "f" for array in inputs)
    if not by_inputs and model.shaken is None:
        return moved
    for _ in range(_SHAKEN):
        try:
            judge = model.judge if by_inputs or model.shaken is None else model.shaken(random)
            answers = judge.answers([one_step_away(array, random) for array in inputs], names)
        except JudgeError as error:  # it may be where the model cannot run: an index that the step takes off its table
            log.info("how far rounding moves the answers is not known: %s", error)
            return moved
        for number, (before, after) in enumerate(zip(expected, answers, strict=True)):
            if before.dtype.name in _STEPS and before.shape == after.shape:
                with np.errstate(all="ignore"):
                    differences = np.abs(after.astype(np.float64) - before.astype(np.float64))
                finite = differences[np.isfinite(differences)]
                most = _MOST_MOVED * float(np.max(np.abs(before[np.isfinite(before)]), initial=0.0))
                moved[number] = max(
                    moved[number], min(_STEPS.get(before.dtype.name, 0) * float(np.max(finite, initial=0.0)), most)
                )
    return moved


def tolerance_of(model: ImportedModel) -> Tolerance:
    """How far answers may differ, by what lies between inputs and outputs."""
    return Tolerance(len(model.values), 3 / 127 if model.quantized else 0.0)


def check_import(
    model: ImportedModel,
    reference: Reference,
    run: Callable[[ImportedModel, Sequence[np.ndarray]], list[np.ndarray]],
    name: str,
) -> Comparison | None:
    """The untuned import held against ``reference``, None where nobody judges. ``run`` gives a model's answers.

    Raises InputError, which names the first node whose value differs.
    """
    if reference.expected is None:
        return None
    names = [output.name for output in model.outputs]
    tolerance = tolerance_of(model)
    found = compare(reference.expected, run(model, reference.inputs), tolerance, names, reference.floors)
    if found.equal:
        return found
    first = _first_wrong(model, reference, run, tolerance)
    raise InputError(
        f"{name} is not tuned: TVM's import of it answers differently than {reference.judge}. "
        + (f"The first value that differs is {first}." if first else f"{found.wrong}.")
        + (_OTHER_INPUTS if reference.inputs_from.startswith("random") else "")
    )


def _first_wrong(
    model: ImportedModel,
    reference: Reference,
    run: Callable[[ImportedModel, Sequence[np.ndarray]], list[np.ndarray]],
    tolerance: Tolerance,
) -> str:
    """The first node whose value differs, with both values; "" where none inside does or none can be looked at.

    By bisection, many probes at a time: each run cuts the stretch in which the fault lies to a 64th.
    """
    if model.with_outputs is None:
        return ""
    first, last = 0, len(model.values) - 1
    told = ""
    while first <= last:
        step = max(1, -(-(last - first + 1) // _PROBES))
        places = sorted({*range(first + step - 1, last + 1, step), last})
        try:
            probe = model.with_outputs([model.values[place][0] for place in places])
            places, probe = _small(probe, places, model)
            names = [output.name for output in probe.outputs]
            expected = model.judge.answers(reference.inputs, names)
            floors = floors_of(probe, reference.inputs, names, expected)
            given = run(probe, reference.inputs)
        except (JudgeError, InputError) as error:
            log.warning("the first wrong node cannot be sought: %s", error)
            return told
        pairs = zip(expected, given, floors, strict=True)
        unequal = (at for at, (a, b, f) in enumerate(pairs) if not compare([a], [b], tolerance, (), [f]).equal)
        wrong = next(unequal, None)
        if wrong is None:
            return told
        value, operator = model.values[places[wrong]]
        difference = compare([expected[wrong]], [given[wrong]], tolerance, [value]).wrong
        told = f"that of a {operator} node: {difference}"
        last = places[wrong] - 1
        first = places[wrong - 1] + 1 if wrong else first
    return told


def _small(probe: ImportedModel, places: list[int], model: ImportedModel) -> tuple[list[int], ImportedModel]:
    """As many of the probes as memory is meant for: every other one is left out until they fit, never the last."""
    while len(places) > 1 and sum(map(_bytes, probe.outputs)) > _PROBED_BYTES:
        places = places[::-2][::-1]
        assert model.with_outputs is not None
        probe = model.with_outputs([model.values[place][0] for place in places])
    return places, probe


def _bytes(info: TensorInfo) -> int:
    return int(np.prod(info.shape, dtype=np.int64)) * np.dtype(info.dtype).itemsize
