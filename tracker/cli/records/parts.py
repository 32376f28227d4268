"""Records and workloads in parts that the tracker takes: some hundred records, some megabytes."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tvm_farm.tracker.domain import Workload
from tvm_farm.tracker.domain.imports import ImportPart

__all__ = ["TOGETHER", "batches", "source_of", "workload_parts"]

#: The tracker keeps them in some fifty milliseconds, between which it stores what boards measure.
TOGETHER = 250
_PART_BYTES = 8 << 20

T = TypeVar("T")


def source_of(path: Path) -> str:
    """Where something is, for people on other hosts too."""
    return f"{socket.gethostname()}:{path.resolve()}"


def batches(items: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """``items`` in order, at most TOGETHER of them at once."""
    some: list[T] = []
    for item in items:
        some.append(item)
        if len(some) == TOGETHER:
            yield tuple(some)
            some = []
    if some:
        yield tuple(some)


def workload_parts(workloads: Iterable[Workload]) -> Iterator[ImportPart]:
    some: list[Workload] = []
    size = 0
    for workload in workloads:
        if some and size + len(workload.module) > _PART_BYTES:
            yield ImportPart(workloads=tuple(some))
            some, size = [], 0
        some.append(workload)
        size += len(workload.module)
    if some:
        yield ImportPart(workloads=tuple(some))
