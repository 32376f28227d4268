"""Operators with their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tvm_farm.tracker.domain import Workload

__all__ = ["WorkloadLookup", "Workloads"]


class WorkloadLookup(Protocol):
    def get(self, key: str) -> Workload | None:
        """The workload with its module."""


class Workloads(WorkloadLookup, Protocol):
    def add(self, workloads: Sequence[Workload]) -> None:
        """Keep them. One whose key is known stays as it is, but one without flops learns name and flops of this one."""

    def near(self, key: str, limit: int) -> list[str]:
        """Keys of at most ``limit`` other workloads of the same form, those of the nearest work first."""
