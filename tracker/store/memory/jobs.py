"""Jobs and their tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tvm_farm.tracker.domain import Job, JobResult, JobSpec, JobState, Task, TaskPlan
from tvm_farm.tracker.domain.job_life import Losses, requeued, started
from tvm_farm.tracker.scheduling.job_queue import Turns
from tvm_farm.tracker.store.counts import RecordCounts
from tvm_farm.tracker.store.encoding import decode, encode
from tvm_farm.tracker.store.memory.workloads import MemoryWorkloads

__all__ = ["MemoryJobs"]


@dataclass
class _Kept:
    #: Without tasks; of its files the names alone.
    job: Job
    request_id: str
    losses: Losses = field(default_factory=Losses)
    #: By their ids; flops are of the workload.
    tasks: dict[str, Task] = field(default_factory=dict)
    #: Places of tasks among the job's, by their ids.
    positions: dict[str, int] = field(default_factory=dict)


class MemoryJobs:
    """In the order in which they were kept."""

    def __init__(self, workloads: MemoryWorkloads) -> None:
        self._workloads = workloads
        self._jobs: dict[str, _Kept] = {}
        #: Ids of jobs.
        self._of_request: dict[str, str] = {}
        self._of_task: dict[str, str] = {}

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def add(self, job: Job, request_id: str, others: Sequence[Job] = ()) -> Job:
        if earlier := self.of_request(request_id):
            return earlier
        ids = [job.id, *(other.id for other in others)]
        for job_id, count in Counter(ids).items():
            if job_id in self._jobs or count > 1:
                raise ValueError(f"there is a job {job_id} already")
        self._keep(replace(job, result=None), request_id)
        for other in others:
            self._keep(replace(other, result=None), "")
        return job

    def add_ended(self, job: Job, task_ids: Sequence[str]) -> None:
        """Keep a job of another farm with its tasks, which have these ids here and no counts."""
        self._keep(job, "")
        kept = self._jobs[job.id]
        for task_id, task in zip(task_ids, job.tasks, strict=True):
            kept.tasks[task_id] = Task(task_id, task.name, task.workload, task.weight, space=task.space)
            kept.positions[task_id] = len(kept.positions)
            self._of_task[task_id] = job.id

    def _keep(self, job: Job, request_id: str) -> None:
        spec = decode(JobSpec, encode(job.spec))
        job = replace(job, spec=spec, tasks=(), trials=0, recalled=0, devices=0, utilisation=0.0)
        self._jobs[job.id] = _Kept(replace(job, result=_without_bytes(job.result)), request_id)
        if request_id:
            self._of_request[request_id] = job.id

    def of_request(self, request_id: str) -> Job | None:
        return self.get(self._of_request.get(request_id, ""))

    def get(self, job_id: str) -> Job | None:
        kept = self._jobs.get(job_id)
        return self._whole(kept) if kept else None

    def _whole(self, kept: _Kept) -> Job:
        tasks = []
        for task_id in sorted(kept.tasks, key=kept.positions.__getitem__):
            task = kept.tasks[task_id]
            workload = self._workloads.get(task.workload)
            tasks.append(replace(task, flops=workload.flops if workload else 0.0))
        return replace(kept.job, tasks=tuple(tasks))

    def ids(self, start: str) -> list[str]:
        if start in self._jobs:
            return [start]
        return sorted(job_id for job_id in self._jobs if job_id.startswith(start))[:10]

    def newest(self, state: JobState | None = None, limit: int = 0) -> list[Job]:
        wanted = {state} if state else set(JobState) - {JobState.REFUSED}
        found = [kept.job for kept in reversed(self._jobs.values()) if kept.job.state in wanted]
        return found[:limit] if limit else found

    def of_group(self, group: str) -> list[Job]:
        return [self._whole(kept) for kept in self._jobs.values() if group and kept.job.group == group]

    def queue(self, turns: Turns) -> list[str]:
        queued = [kept.job for kept in self._jobs.values() if kept.job.state is JobState.QUEUED]
        return [job.id for job in sorted(queued, key=turns.unix_s)]

    def counts(self) -> dict[JobState, int]:
        return dict(Counter(kept.job.state for kept in self._jobs.values()))

    def unfinished(self) -> set[str]:
        """Ids of the jobs that have not ended."""
        return {job_id for job_id, kept in self._jobs.items() if not _ended(kept.job)}

    def change(self, job_id: str, change: Callable[[Job], Job]) -> Job | None:
        kept = self._jobs.get(job_id)
        if kept is None:
            return None
        before = self._whole(kept)
        after = change(before)
        if _ended(before) and not _ended(after):
            # Asked for anew: earlier losses of its worker count no more.
            kept.losses = Losses()
            kept.job = replace(kept.job, spec=decode(JobSpec, encode(after.spec)))
        kept.job = replace(
            kept.job,
            state=after.state,
            phase=after.phase,
            error=after.error,
            input_error=after.input_error,
            started_unix_s=after.started_unix_s,
            finished_unix_s=after.finished_unix_s,
            tuned_for_s=after.tuned_for_s,
            target=after.target,
            device_class=after.device_class,
            worker_id=after.worker_id,
            result=_without_bytes(after.result),
            worked_s=after.worked_s,
            working_since_unix_s=after.working_since_unix_s,
        )
        return after

    def claim(self, worker_id: str, now: float, turns: Turns) -> Job | None:
        waiting: set[str] = set()
        claimable = []
        for kept in self._jobs.values():
            job = kept.job
            if job.state is JobState.QUEUED and not (job.group and job.group in waiting):
                claimable.append(job)
            if not _ended(job):
                waiting.add(job.group)
        chosen = min(claimable, key=turns.unix_s, default=None)
        return self.change(chosen.id, lambda job: started(job, worker_id, now)) if chosen else None

    def lose_worker(self, job_id: str, worker_id: str, now: float, *, counts: bool = True) -> Job | None:
        kept = self._jobs.get(job_id)
        if kept is None or kept.job.state is not JobState.RUNNING or kept.job.worker_id != worker_id:
            return self.get(job_id)
        if counts:
            kept.losses = kept.losses.after_one_more(kept.job.trials)
        losses = kept.losses
        return self.change(job_id, lambda job: requeued(job, losses, now))

    def add_tasks(self, job_id: str, plans: Sequence[TaskPlan]) -> None:
        kept = self._jobs.get(job_id)
        if kept is None:
            raise ValueError(f"a task names job {job_id}, which is not stored")
        self._workloads.add([plan.workload for plan in plans])
        for position, plan in enumerate(plans):
            known = kept.tasks.get(plan.id, Task(plan.id, plan.name, plan.workload.key, plan.weight))
            kept.tasks[plan.id] = replace(
                known, name=plan.name, workload=plan.workload.key, weight=plan.weight, space=plan.space
            )
            kept.positions[plan.id] = position
            self._of_task[plan.id] = job_id

    def count(self, counts: RecordCounts) -> None:
        """Add what records are to the counters."""
        for job_id, (trials, recalled) in counts.jobs.items():
            if kept := self._jobs.get(job_id):
                kept.job = replace(kept.job, trials=kept.job.trials + trials, recalled=kept.job.recalled + recalled)
        for task_id, untuned_s in counts.untuned_s.items():
            if task := self.task(task_id):
                self.put_task(replace(task, untuned_s=untuned_s))
        for task_id, count in counts.tasks.items():
            if task := self.task(task_id):
                trials, failed = task.trials + count.trials, task.failed + count.failed
                best_s = min((seconds for seconds in (task.best_s, count.best_s) if seconds), default=0.0)
                self.put_task(replace(task, trials=trials, failed=failed, best_s=best_s))

    def task(self, task_id: str) -> Task | None:
        """Without flops."""
        kept = self._jobs.get(self._of_task.get(task_id, ""))
        return kept.tasks[task_id] if kept else None

    def put_task(self, task: Task) -> None:
        """Replace a task that is kept."""
        self._jobs[self._of_task[task.id]].tasks[task.id] = task


def _ended(job: Job) -> bool:
    return job.state.final


def _without_bytes(result: JobResult | None) -> JobResult | None:
    return None if result is None else decode(JobResult, encode(result))
