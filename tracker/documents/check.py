"""What would be tuned of a model, and what is in the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm_farm.tracker.documents.value import jsonable
from tvm_farm.tracker.domain import CheckReport, Job, TensorOutline
from tvm_farm.tracker.domain.roofline import attainable_s, bound, model_attainable_s

__all__ = ["check_document", "check_of"]


def check_of(job: Job) -> CheckReport | None:
    """What its worker found; None before that."""
    return job.result.check if job.result is not None else None


def check_document(jobs: Sequence[Job]) -> dict[str, Any]:
    """Of a submission's jobs, one a class; a class whose job is not done has no entry."""
    done = [job for job in jobs if check_of(job) is not None]
    reports = [report for job in done if (report := check_of(job)) is not None]
    whole = next((report for report in reports if not report.obstacles), reports[0] if reports else CheckReport())
    return {
        "model": jobs[0].spec.model_name,
        "pool": jobs[0].spec.pool,
        "will_be_tuned": len(done) == len(jobs) and not any(report.obstacles for report in reports),
        "inputs": [*map(_tensor, whole.inputs)],
        "outputs": [*map(_tensor, whole.outputs)],
        "operators": jsonable(whole.operators),
        "classes": [_class(job, report) for job, report in zip(done, reports, strict=True)],
    }


def _tensor(tensor: TensorOutline) -> dict[str, Any]:
    """``shape``: sizes as numbers, open ones as text; null where not even their number is known."""
    sizes = [int(size) if size.isdigit() else size for size in tensor.dims]
    return {"name": tensor.name, "shape": None if sizes == ["..."] else sizes, "dtype": tensor.dtype or None}


def _class(job: Job, report: CheckReport) -> dict[str, Any]:
    peaks = report.peaks
    return {
        "device_class": job.device_class,
        "target": job.target,
        "job": job.id,
        "obstacles": jsonable(report.obstacles),
        "parameters": report.parameters,
        "parameter_bytes": report.parameter_bytes,
        "parameters_of": "file" if report.in_file else "package",
        "flops": report.flops,
        "activation_bytes": report.activation_bytes,
        "activation_at": report.activation_at,
        "judge": report.judge or None,
        "peaks": jsonable(peaks),
        "attainable_s": model_attainable_s(report.tasks, peaks) if peaks else None,
        "tasks": [
            {
                "name": task.name,
                "weight": task.weight,
                "flops": task.flops,
                "bytes_touched": task.bytes_touched,
                "dtype": task.dtype,
                "bound": bound(task, peaks).value if peaks else None,
                "attainable_s": attainable_s(task, peaks) if peaks else None,
            }
            for task in report.tasks
        ],
        "notes": [*report.notes],
    }
