"""What a check may find: a model that will be tuned, and one that will not."""

from __future__ import annotations

from dataclasses import replace

from tvm_farm.tracker.domain import (
    Artifact,
    CheckReport,
    Job,
    JobKind,
    JobResult,
    JobSpec,
    JobState,
    Obstacle,
    OperatorUse,
    Peaks,
    TaskOutlook,
    TensorOutline,
)

__all__ = ["BAD", "GOOD", "PEAKS", "job"]

SPEC = JobSpec(JobKind.CHECK, "squeezenet", Artifact("00", 1), "arm64")
GOOD = CheckReport(
    inputs=(TensorOutline("data", ("1", "3", "224", "224"), "float32"), TensorOutline("sr", (), "int64")),
    outputs=(TensorOutline("prob", ("1", "1000"), "float32"),),
    operators=(OperatorUse("Shape", 2, folded=2), OperatorUse("Conv", 26, by_tvm=26), OperatorUse("Sum", 1, by_farm=1)),
    parameters=1_235_496,
    parameter_bytes=4_941_984,
    flops=200e6,
    activation_bytes=4_529_848,
    activation_at="max_pool2d",
    tasks=(TaskOutlook("pool", 2, 0.0, 4_000_000, "float32"), TaskOutlook("conv", 1, 200e6, 400_000, "int8")),
    judge="ONNX Runtime 1.31.1",
)
BAD = replace(
    GOOD,
    operators=(OperatorUse("Conv", 3, by_tvm=1, unknown=2), OperatorUse("my.Wobble", 1, refused=1)),
    obstacles=(
        Obstacle("node wobble (my.Wobble)", "my.Wobble", "nobody can import it"),
        Obstacle("", "", "input data has open dimensions (?,3); fix it with --shape data=…"),
    ),
    in_file=True,
    flops=0.0,
    tasks=(),
)
PEAKS = Peaks(20e9, 4e9, "rpi-7", from_log=True)


def job(report: CheckReport | None, **changes: object) -> Job:
    result = JobResult(check=report) if report else None
    return replace(Job("squeezenet-ab2c", SPEC, JobState.DONE, result=result, device_class="rpi4"), **changes)
