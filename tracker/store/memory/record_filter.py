"""Which records a question is about."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tvm_farm.tracker.domain import Record, RecordFilter

__all__ = ["wanted"]


def wanted(
    record: Record, query: RecordFilter, classes: Collection[str] | None, dims: Callable[[str], Collection[str]]
) -> bool:
    """Whether ``query`` asks for ``record``, its order, pool and limit aside. ``dims``: the shapes of a workload."""
    measured = record.measurement
    same = (
        (query.job_id, record.job_id),
        (query.task_id, record.task_id),
        (query.workload, record.workload),
        (query.device_class, measured.device_class),
        (query.engine, record.engine),
        (query.target, record.target),
        (query.user, record.user),
        (query.outcome, measured.outcome),
    )
    return (
        all(not asked or asked == value for asked, value in same)
        and query.device in ("", measured.device_id, measured.device_name)
        and query.workload_name in record.workload_name
        and measured.timeline.stored_s >= query.since_unix_s
        and (classes is None or measured.device_class in classes)
        and (not query.shapes or set(query.shapes) <= set(dims(record.workload)))
    )
