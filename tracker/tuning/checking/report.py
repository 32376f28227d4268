"""The report of a check, out of what the importer met and what the model was lowered to."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tvm_farm.tracker.domain import CheckReport, Obstacle, TaskOutlook
from tvm_farm.tracker.tuning.checking.activations import activation_peak
from tvm_farm.tracker.tuning.checking.sizes import tensor_bytes
from tvm_farm.tracker.tuning.checking.traffic import bytes_touched, largest_dtype
from tvm_farm.tracker.tuning.models.graph import ExtractedTask, LoweredModel
from tvm_farm.tracker.tuning.models.importers import Survey
from tvm_farm.tracker.tuning.models.importers.survey import outlines_of
from tvm_farm.tracker.tuning.models.operator import Operator

__all__ = ["model_report", "operator_report", "surveyed"]


def surveyed(surveys: Sequence[Survey], reason: str = "") -> CheckReport:
    """Of a model that will not be tuned: what is in its file, and all that is in the way. ``surveys``: one a shape.

    ``reason``: what the surveys do not know.
    """
    # Shapes of one file mostly have the same in their way.
    obstacles = list(dict.fromkeys(obstacle for survey in surveys for obstacle in survey.obstacles))
    if reason:
        obstacles.append(Obstacle("", "", reason.rstrip(".")))
    survey = next((survey for survey in surveys if survey.obstacles), surveys[-1])
    return CheckReport(
        inputs=survey.inputs,
        outputs=survey.outputs,
        operators=survey.operators,
        obstacles=tuple(obstacles),
        parameters=survey.parameters,
        parameter_bytes=survey.parameter_bytes,
        in_file=True,
    )


def model_report(survey: Survey, lowered: LoweredModel, tasks: Sequence[ExtractedTask], judge: str) -> CheckReport:
    """Of a model that will be tuned. ``judge``: who confirmed its import, "" where nobody could."""
    peak = activation_peak(lowered)
    outlooks = tuple(map(_outlook, tasks))
    return CheckReport(
        inputs=survey.inputs,
        outputs=survey.outputs,
        operators=survey.operators,
        parameters=sum(math.prod(map(int, value.shape)) for value in lowered.params.values()),
        parameter_bytes=sum(value.numpy().nbytes for value in lowered.params.values()),
        flops=sum(task.weight * task.flops for task in outlooks),
        activation_bytes=peak.bytes_alive,
        activation_at=peak.at,
        tasks=outlooks,
        judge=judge,
    )


def operator_report(operator: Operator, tasks: Sequence[ExtractedTask]) -> CheckReport:
    """Of a person's own kernels: nothing is imported, and what they are called with is all that there is."""
    outlooks = tuple(map(_outlook, tasks))
    arguments = [(at in each.outputs, info) for each in operator.kernels for at, info in enumerate(each.arguments)]
    return CheckReport(
        inputs=outlines_of([info for output, info in arguments if not output]),
        outputs=outlines_of([info for output, info in arguments if output]),
        flops=sum(task.flops for task in outlooks),
        activation_bytes=max(
            sum(tensor_bytes(info.shape, info.dtype) for info in kernel.arguments) for kernel in operator.kernels
        ),
        tasks=outlooks,
        notes=tuple(f"{name} has no blocks and is left out." for name in operator.left_out),
    )


def _outlook(task: ExtractedTask) -> TaskOutlook:
    return TaskOutlook(task.name, task.weight, task.workload.flops, bytes_touched(task), largest_dtype(task))
