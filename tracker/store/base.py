"""The contract of the store.

Values in, values out: changing what was returned never changes the store. Each method is atomic: it happens as a
whole or not at all, and what it did is seen by the next call. A method that writes raises StoreFull, having changed
nothing, when the disk is full; the same call may be made again later. One thread calls a store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from tvm_farm.tracker.domain import (
    Desk,
    Device,
    Job,
    JobState,
    Pool,
    Record,
    RecordFilter,
    SearchStep,
    TaskPlan,
    TimingPlan,
    TrialTimes,
    Workload,
)
from tvm_farm.tracker.domain.exchange import Compaction, HistoryFilter, HistoryLine, ImportPart, ImportReport

__all__ = ["Compactor", "Store"]


class Compactor(Protocol):
    """One compaction of a store. Each call takes some tens of milliseconds; other calls may come between them.

    It may be given up at any time: what is gone is gone, everything else is as it was.
    """

    def survey(self) -> Compaction | None:
        """Look a little further at what there is. None until all was seen, then what the removal comes to."""

    def remove(self) -> Compaction:
        """After the survey: remove a little more, then give the room back, until it is ``done``."""


class Store(Protocol):
    def close(self) -> None:
        """Everything is on the disk; no further call is allowed."""

    def checkpoint(self) -> None:
        """What was written so far survives a power cut from now on (a killed process never loses any of it)."""

    def put_device(self, device: Device) -> None:
        """Keep the last known state of ``device``, replacing what was kept under its id."""

    def devices(self) -> list[Device]:
        """Every device that ever joined, by name, in the state last kept."""

    def put_desk(self, device_id: str, desk: Desk) -> None:
        """Keep what is ordered of a device, replacing what was kept for it. The device may be one never seen."""

    def desks(self) -> dict[str, Desk]:
        """What was kept, by device id."""

    def put_pool(self, pool: Pool) -> None:
        """Keep name and selector, replacing a pool of that name."""

    def delete_pool(self, name: str) -> bool:
        """Whether there was one."""

    def pools(self) -> list[Pool]:
        """Kept pools by name: names and selectors alone."""

    def add_job(self, job: Job, request_id: str, others: Sequence[Job] = ()) -> Job:
        """Keep a new job, and after it the ``others`` of its group; or return the earlier one that came with the same
        non-empty ``request_id``, and keep nothing.
        """

    def job(self, job_id: str) -> Job | None:
        """The job with its tasks and the counters of what was recorded for them."""

    def job_of_request(self, request_id: str) -> Job | None:
        """The job that was added with ``request_id``."""

    def job_ids(self, start: str) -> list[str]:
        """At most 10 ids that begin with ``start``; ``start`` itself alone where it is one."""

    def jobs(self, state: JobState | None = None, limit: int = 0) -> list[Job]:
        """Jobs without their tasks, newest first; ``limit`` 0 means all."""

    def jobs_of_group(self, group: str) -> list[Job]:
        """Its jobs with their tasks, in the order in which they were kept; none for "" and for an unknown one."""

    def job_counts(self) -> dict[JobState, int]:
        """How many jobs are in each state; a state without any is left out."""

    def change_job(self, job_id: str, change: Callable[[Job], Job]) -> Job | None:
        """Replace the job by ``change(job)``; the job after it, with tasks. None where there is no such job.

        What ``change`` raises is raised and nothing is kept. Tasks and trials are not its to change.
        """

    def claim_job(self, worker_id: str, now: float, turn: Callable[[Job], float] = lambda job: 0.0) -> Job | None:
        """The queued job of the least ``turn``, of equals the oldest; None where none is queued.

        A job of a group has its turn when those kept before it have ended.

        It runs on ``worker_id`` from now on, and comes with its tasks.
        """

    def lose_worker(self, job_id: str, worker_id: str, now: float, *, counts: bool = True) -> Job | None:
        """A job that runs on ``worker_id`` lost it: queued again, or failed at the limit of domain.job_life.Losses.

        A job that is not this worker's any more stays as it is.

        ``counts`` False: the tracker's restart took the worker away, not the job.
        """

    def add_tasks(self, job_id: str, plans: Sequence[TaskPlan]) -> None:
        """Keep tasks and their workloads. A task that is known keeps its counters, so twice is the same as once."""

    def add_workloads(self, workloads: Sequence[Workload]) -> None:
        """Keep them; one whose key is known stays as it is."""

    def workload(self, key: str) -> Workload | None:
        """The workload with its module."""

    def near_workloads(self, key: str, limit: int) -> list[str]:
        """Keys of at most ``limit`` other workloads of the same form, those of the nearest work first."""

    def add_records(self, records: Sequence[Record]) -> list[Record]:
        """Keep records and count them in their tasks and jobs. The record as kept, one for each given.

        A ``trial_id`` that was kept before is neither kept nor counted again: the earlier record is returned. One with
        ``copied_from`` counts as recalled besides.
        Measurement outputs are not kept. A record of engine "untuned" sets its task's baseline and is no trial.
        """

    def refute(self, trial_id: str, detail: str) -> int | None:
        """The kernel of this trial answers wrongly: its OK records are WRONG_RESULT with ``detail`` from now on.

        Those are all of the same workload, target, device class and trace; they have no timings any more, and count
        as failed in their tasks. How many they were; None where there is no such trial, or it is an untuned one.
        """

    def record(self, trial_id: str) -> Record | None:
        """The record of one trial."""

    def trial_ids(self, job_id: str) -> set[str]:
        """Trials of a job that have a record."""

    def records(
        self, query: RecordFilter, classes: Collection[str] | None, after: int, limit: int
    ) -> tuple[list[Record], int]:
        """A page of at most ``limit`` records in the order they were kept, or the reverse with ``newest_first``.

        A page may be shorter, even empty, where none of many records was wanted: one call never looks at all of a log.

        ``classes`` narrows to device classes (``query.pool`` is resolved by the caller and ignored here, as is
        ``query.limit``). ``after`` is 0 for the first page, then the number that came with the page before;
        0 comes with the last one.
        """

    def records_numbered(self, numbers: Sequence[int]) -> list[Record]:
        """Those of ``numbers``, in their order, without what is not there. See LogReader.numbers."""

    def trial_ids_like(self, start: str) -> list[str]:
        """At most 10 trials with a record whose ids begin with ``start``; ``start`` itself alone where it is one."""

    def trial_times(self, job_id: str, after: int, limit: int) -> tuple[list[TrialTimes], int]:
        """A page of what the records of a job say of its time, in the order they were kept; paged as ``records``."""

    def measured_workloads(self) -> list[str]:
        """Keys of the workloads that have a record, in their order."""

    def measured_classes(self, workload: str) -> list[str]:
        """Device classes that have an OK record of ``workload``, in their order."""

    def best_records(
        self, workloads: Sequence[str], classes: Collection[str] | None, target: str, per_workload: int
    ) -> list[Record]:
        """For each of ``workloads`` the ``per_workload`` OK records of the least median run time, fastest first.

        Copies of other records are left out. ``classes`` None and ``target`` "" do not narrow.
        """

    def add_search(self, job_id: str, step: SearchStep) -> None:
        """Keep a step of the job's search. One whose number was kept before is not kept again."""

    def searches(self, job_id: str, after: int, limit: int) -> list[SearchStep]:
        """At most ``limit`` steps of the job's search with a number above ``after``, in their order."""

    def searched_alike(self, job: Job) -> str | None:
        """Another tuning job that asked for the same (domain.search_key) on the same target and class, and has
        searched; of several the one with most trials.
        """

    def alike(
        self, workload: str, device_class: str, target: str, plan: TimingPlan, traces: Sequence[str]
    ) -> list[list[Record]]:
        """For each of ``traces`` the newest records of that candidate, newest first: of this workload, class, target
        and plan. The trace "" stands for the untuned kernel. What was imported is left out: no board here measured it.
        """

    def unknown_trials(self, trial_ids: Sequence[str]) -> list[str]:
        """Those of ``trial_ids`` that have no record, in their order."""

    def trial_page(self, after: int, limit: int) -> tuple[list[str], int]:
        """A page of all trials that have a record, in the order they were kept; paged as ``records``."""

    def record_count(self) -> int:
        """How many records there are."""

    def import_part(self, part: ImportPart, now: float) -> ImportReport:
        """Keep what others measured, marked with ``part.source`` and ``now``, and say how much of it was new.

        A record whose ``trial_id`` was kept before, a workload and a job that are known, and a line of history that is
        known word for word, are neither kept nor counted again. A record counts in its task and job as one of
        ``add_records`` does; one that tells no ``stored_s`` was stored now. A job whose id is that of another job here,
        created at another time, gets one of its own, and its records with it. Raises InvalidRequest for a record of a
        job, or a task of a workload, that is neither here nor in ``part``.
        """

    def history(self, query: HistoryFilter, before: int, limit: int) -> tuple[list[HistoryLine], int]:
        """A page of at most ``limit`` lines, the one kept last first; paged as ``records`` with ``newest_first``.

        ``query.limit`` is the caller's to obey.
        """

    def compactor(self, keep: int) -> Compactor:
        """Removes all records but the ``keep`` of least median run time of each workload, device class and target.

        Beside them stay: the fastest untuned one of each, every WRONG_RESULT, every record of a job that has not ended
        (as of the survey, and of the removal), and what is recorded after the survey. Counters of jobs and tasks stay
        what they are: how much was measured.
        """
