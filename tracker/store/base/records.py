"""The tuning log: measurements, kept for good.

A record has a number, which the store gives. Numbers grow in the order in which records were kept, no two records ever
have the same, and they mean nothing in another store.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from tvm_farm.tracker.domain import Record, RecordFilter, TimingPlan, TrialTimes
from tvm_farm.tracker.domain.device_class import ClassMove
from tvm_farm.tracker.store.base.compaction import Compactor

__all__ = ["NEWEST_ALIKE", "RecordPages", "Records"]

#: Of one candidate that was measured often, so many of the newest records are looked at.
NEWEST_ALIKE = 16


class RecordPages(Protocol):
    """The log from one end to the other."""

    def count(self) -> int:
        """How many records there are."""

    def page(
        self, query: RecordFilter, classes: Collection[str] | None, after: int, limit: int
    ) -> tuple[list[Record], int]:
        """A page of at most ``limit`` records in the order they were kept, or the reverse with ``newest_first``.

        A page may be shorter, even empty, where none of many records was wanted: one call never looks at all of a log.

        ``classes`` narrows to device classes (``query.pool`` is resolved by the caller and ignored here, as is
        ``query.limit``). ``after`` is 0 for the first page, then the number that came with the page before;
        0 comes with the last one.
        """

    def trial_page(self, after: int, limit: int) -> tuple[list[str], int]:
        """A page of all trials that have a record, in the order they were kept; paged as ``page``."""


class Records(RecordPages, Protocol):
    """Times are seconds, run times those of one call."""

    def add(self, records: Sequence[Record]) -> list[Record]:
        """Keep records and count them in their tasks and jobs. The record as kept, one for each given.

        A ``trial_id`` that was kept before is neither kept nor counted again: the earlier record is returned. One with
        ``copied_from`` counts as recalled besides.
        Measurement outputs are not kept. A record of engine "untuned" sets its task's baseline and is no trial.
        Raises ValueError, having kept none, for a record of a job that is not here.
        """

    def refute(self, trial_id: str, detail: str) -> int | None:
        """The kernel of this trial answers wrongly: its OK records are WRONG_RESULT with ``detail`` from now on.

        Those are all of the same workload, target, device class and trace; they have no timings any more, and count
        as failed in their tasks. How many they were; None where there is no such trial, or it is an untuned one.
        """

    def get(self, trial_id: str) -> Record | None:
        """The record of one trial."""

    def numbered(self, numbers: Sequence[int]) -> list[Record]:
        """Those of ``numbers``, in their order, without what is not there. See LogReader.numbers."""

    def of_job(self, job_id: str) -> set[str]:
        """Trials of a job that have a record."""

    def trial_ids(self, start: str) -> list[str]:
        """At most 10 trials with a record whose ids begin with ``start``; ``start`` itself alone where it is one."""

    def unknown_trials(self, trial_ids: Sequence[str]) -> list[str]:
        """Those of ``trial_ids`` that have no record, in their order."""

    def times(self, job_id: str, after: int, limit: int) -> tuple[list[TrialTimes], int]:
        """A page of what the records of a job say of its time, in the order they were kept; paged as ``page``."""

    def measured_workloads(self) -> list[str]:
        """Keys of the workloads that have a record, in their order."""

    def measured_classes(self, workload: str) -> list[str]:
        """Device classes that have an OK record of ``workload``, in their order."""

    def best(
        self, workloads: Sequence[str], classes: Collection[str] | None, target: str, per_workload: int
    ) -> list[Record]:
        """For each of ``workloads`` the ``per_workload`` OK records of the least median run time, fastest first.

        Copies of other records are left out. ``classes`` None and ``target`` "" do not narrow.
        """

    def alike(
        self, workload: str, device_class: str, target: str, plan: TimingPlan, traces: Sequence[str]
    ) -> list[list[Record]]:
        """For each of ``traces`` the NEWEST_ALIKE newest records of that candidate, newest first: of this workload,
        class, target and plan. The trace "" stands for the untuned kernel. What was imported is left out: no board
        here measured it.
        """

    def classes(self) -> list[str]:
        """The device classes of all records, sorted."""

    def move(self, moves: Sequence[ClassMove]) -> int:
        """Put records into other classes, all of the moves or none; how many records."""

    def compactor(self, keep: int) -> Compactor:
        """Removes all records but the ``keep`` of least median run time of each workload, device class and target.

        Beside them stay: the fastest untuned one of each, every WRONG_RESULT, every record of a job that has not ended
        (as of the survey, and of the removal), the newest of all, and what is recorded after the survey. Counters of
        jobs and tasks stay what they are: how much was measured.
        """
