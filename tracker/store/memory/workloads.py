"""Operators with their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tvm_farm.tracker.domain import Workload, shapes_of
from tvm_farm.tracker.domain.record import form_of

__all__ = ["MemoryWorkloads"]


class MemoryWorkloads:
    def __init__(self) -> None:
        self._workloads: dict[str, Workload] = {}
        self._dims: dict[str, frozenset[str]] = {}

    def add(self, workloads: Sequence[Workload]) -> None:
        for new in workloads:
            known = self._workloads.get(new.key)
            if known is None:
                self._dims[new.key] = frozenset(shape.dims for shape in shapes_of(new.module))
                self._workloads[new.key] = new
            elif known.flops == 0 < new.flops:
                # One that was imported had no name of ours, and no flops.
                self._workloads[new.key] = replace(known, name=new.name, flops=new.flops)

    def get(self, key: str) -> Workload | None:
        return self._workloads.get(key)

    def near(self, key: str, limit: int) -> list[str]:
        mine = self._workloads.get(key)
        if mine is None or mine.flops <= 0:
            return []
        form = form_of(mine.name)
        others = [w for w in self._workloads.values() if w.key != key and w.flops > 0 and form_of(w.name) == form]
        others.sort(key=lambda w: (max(w.flops / mine.flops, mine.flops / w.flops), w.key))
        return [w.key for w in others[:limit]]

    def dims(self, key: str) -> frozenset[str]:
        """Its shapes, as parse_dims writes them; none of an unknown workload."""
        return self._dims.get(key, frozenset())
