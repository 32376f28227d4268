"""A candidate, or an untuned kernel, between its proposal and its measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tvm_farm.tracker.domain import Preparation, RecordContext
from tvm_farm.tracker.domain.record import BASELINE
from tvm_farm.tracker.tuning.search.search import Proposal
from tvm_farm.tracker.tuning.search.task_state import TaskState

__all__ = ["InFlight"]


@dataclass
class InFlight:
    task: TaskState
    #: None for the untuned kernel of the task, its baseline.
    proposal: Proposal | None
    steps: Preparation
    #: CPU seconds of the build.
    build_cpu_s: float = 0.0

    def context(self, target: str, versions: Mapping[str, str]) -> RecordContext:
        """What the log keeps beside the measurement. ``versions``: of what compiles for ``target``."""
        return RecordContext(
            task_id=self.task.id,
            workload=self.task.workload,
            workload_name=self.task.name,
            target=target,
            engine=self.task.engine_name if self.proposal else BASELINE,
            trace=self.proposal.candidate.trace if self.proposal else "",
            versions={**versions, **({"inputs": self.task.inputs} if self.task.inputs else {})},
            **self.steps.prepared(),
        )
