"""Jobs, their tasks and workloads as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlite_utils import Database

from tvm_farm.tracker.domain import Job, JobResult, JobSpec, JobState, Task, TaskPlan, Workload
from tvm_farm.tracker.domain.job_life import Losses, requeued, started
from tvm_farm.tracker.domain.record import form_of
from tvm_farm.tracker.store.encoding import decode, encode
from tvm_farm.tracker.store.schema import keep_shapes

__all__ = ["JobTables"]

_COLUMNS = (
    "id, spec, state, phase, error, input_error, created, started, finished, tuned_for_s, target, device_class, "
    "worker_id, result, trials, group_id, recalled"
)
#: The oldest first. A job whose group has an earlier one that has not ended waits for that.
_CLAIMABLE = f"""SELECT {_COLUMNS} FROM jobs j WHERE state = 'queued' AND NOT EXISTS (
    SELECT 1 FROM jobs e WHERE e.group_id = j.group_id AND e.group_id <> '' AND e.number < j.number
    AND e.state IN ('queued', 'running')) ORDER BY number"""


class JobTables:
    """The part of SqliteStore about jobs."""

    _db: Database

    def _writing(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def add_job(self, job: Job, request_id: str, others: Sequence[Job] = ()) -> Job:
        with self._writing(), self._db.atomic():
            if earlier := self.job_of_request(request_id):
                return earlier
            self._add(job, request_id)
            for other in others:
                self._add(other, "")
        return job

    def _add(self, job: Job, request_id: str) -> None:
        spec = job.spec
        self._db.execute(
            """INSERT INTO jobs (id, request_id, state, kind, model_name, model_digest, pool, engine, user, spec, phase,
            error, input_error, created, started, finished, tuned_for_s, target, device_class, worker_id, group_id)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            [
                job.id,
                request_id or None,
                job.state.value,
                spec.kind.value,
                spec.model_name,
                spec.model.digest,
                spec.pool,
                spec.engine,
                spec.user,
                encode(spec),
                job.phase,
                job.error,
                job.input_error,
                job.created_unix_s,
                job.started_unix_s,
                job.finished_unix_s,
                job.tuned_for_s,
                job.target,
                job.device_class,
                job.worker_id,
                job.group,
            ],
        )

    def job_of_request(self, request_id: str) -> Job | None:
        if not request_id:
            return None
        row = self._db.execute("SELECT id FROM jobs WHERE request_id = ?", [request_id]).fetchone()
        return self.job(row[0]) if row else None

    def job(self, job_id: str) -> Job | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", [job_id]).fetchone()
        return _job(row, self._tasks(job_id)) if row else None

    def _tasks(self, job_id: str) -> tuple[Task, ...]:
        rows = self._db.execute(
            """SELECT t.id, t.name, t.workload, t.weight, w.flops, t.trials, t.failed, t.untuned_s, t.best_s,
            t.space FROM tasks t JOIN workloads w ON w.key = t.workload WHERE t.job_id = ? ORDER BY t.position""",
            [job_id],
        )
        return tuple(Task(*row) for row in rows)

    def job_ids(self, start: str) -> list[str]:
        if self._db.execute("SELECT 1 FROM jobs WHERE id = ?", [start]).fetchone():
            return [start]
        rows = self._db.execute(
            "SELECT id FROM jobs WHERE id >= ? AND substr(id, 1, length(?)) = ? ORDER BY id LIMIT 10", [start] * 3
        )
        return [row[0] for row in rows]

    def jobs(self, state: JobState | None = None, limit: int = 0) -> list[Job]:
        where, values = ("WHERE state = ?", [state.value]) if state else ("", [])
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM jobs {where} ORDER BY number DESC LIMIT ?", [*values, limit or -1]
        )
        return [_job(row, ()) for row in rows]

    def jobs_of_group(self, group: str) -> list[Job]:
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE group_id = ? AND group_id <> '' ORDER BY number", [group]
        ).fetchall()
        return [_job(row, self._tasks(row[0])) for row in rows]

    def job_counts(self) -> dict[JobState, int]:
        return {JobState(state): n for state, n in self._db.execute("SELECT state, count(*) FROM jobs GROUP BY state")}

    def change_job(self, job_id: str, change: Callable[[Job], Job]) -> Job | None:
        with self._writing(), self._db.atomic():
            before = self.job(job_id)
            if before is None:
                return None
            after = change(before)
            if after != before:
                self._update(after)
            if before.state.final and not after.state.final:
                # Asked for anew: earlier losses of its worker count no more.
                self._db.execute(
                    "UPDATE jobs SET spec = ?, losses = 0, trials_at_loss = 0 WHERE id = ?",
                    [encode(after.spec), job_id],
                )
            return after

    def _update(self, job: Job) -> None:
        self._db.execute(
            """UPDATE jobs SET state = ?, phase = ?, error = ?, input_error = ?, started = ?, finished = ?,
            tuned_for_s = ?, target = ?, device_class = ?, worker_id = ?, result = ? WHERE id = ?""",
            [
                job.state.value,
                job.phase,
                job.error,
                job.input_error,
                job.started_unix_s,
                job.finished_unix_s,
                job.tuned_for_s,
                job.target,
                job.device_class,
                job.worker_id,
                encode(job.result) if job.result else None,
                job.id,
            ],
        )

    def claim_job(self, worker_id: str, now: float, turn: Callable[[Job], float] = lambda job: 0.0) -> Job | None:
        with self._writing(), self._db.atomic():
            oldest_first = [_job(row, ()) for row in self._db.execute(_CLAIMABLE).fetchall()]
            chosen = min(oldest_first, key=turn, default=None)
            if chosen is None:
                return None
            return self.change_job(chosen.id, lambda job: started(job, worker_id, now))

    def lose_worker(self, job_id: str, worker_id: str, now: float, *, counts: bool = True) -> Job | None:
        with self._writing(), self._db.atomic():
            row = self._db.execute(
                """SELECT losses, trials_at_loss, trials FROM jobs
                WHERE id = ? AND state = 'running' AND worker_id = ?""",
                [job_id, worker_id],
            ).fetchone()
            if row is None:
                return self.job(job_id)
            losses = Losses(row[0], row[1])
            if counts:
                losses = losses.after_one_more(row[2])
            self._db.execute(
                "UPDATE jobs SET losses = ?, trials_at_loss = ? WHERE id = ?", [losses.count, losses.trials, job_id]
            )
            return self.change_job(job_id, lambda job: requeued(job, losses, now))

    def add_tasks(self, job_id: str, plans: Sequence[TaskPlan]) -> None:
        with self._writing(), self._db.atomic():
            self.add_workloads([plan.workload for plan in plans])
            for position, plan in enumerate(plans):
                self._db.execute(
                    """INSERT INTO tasks (id, job_id, position, name, workload, weight, space)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET position = excluded.position, name = excluded.name,
                    workload = excluded.workload, weight = excluded.weight, space = excluded.space""",
                    [plan.id, job_id, position, plan.name, plan.workload.key, plan.weight, plan.space],
                )

    def add_workloads(self, workloads: Sequence[Workload]) -> None:
        with self._writing(), self._db.atomic():
            for workload in workloads:
                self._keep_workload(workload)

    def _keep_workload(self, workload: Workload) -> None:
        new = self._db.execute(
            # One that was imported had no name of ours, and no flops.
            """INSERT INTO workloads (key, name, module, flops, form) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
            SET name = excluded.name, flops = excluded.flops, form = excluded.form
            WHERE workloads.flops = 0 AND excluded.flops > 0""",
            [workload.key, workload.name, workload.module, workload.flops, form_of(workload.name)],
        ).rowcount
        if new:
            keep_shapes(self._db, workload.key, workload.module)

    def workload(self, key: str) -> Workload | None:
        row = self._db.execute("SELECT key, name, module, flops FROM workloads WHERE key = ?", [key]).fetchone()
        return Workload(*row) if row else None

    def near_workloads(self, key: str, limit: int) -> list[str]:
        rows = self._db.execute(
            """SELECT n.key FROM workloads w JOIN workloads n ON n.form = w.form AND n.key <> w.key
            WHERE w.key = ? AND w.flops > 0 AND n.flops > 0
            ORDER BY max(n.flops / w.flops, w.flops / n.flops), n.key LIMIT ?""",
            [key, limit],
        )
        return [row[0] for row in rows]


def _job(row: Any, tasks: tuple[Task, ...]) -> Job:
    return Job(
        id=row[0],
        spec=decode(JobSpec, row[1]),
        state=JobState(row[2]),
        phase=row[3],
        error=row[4],
        input_error=bool(row[5]),
        created_unix_s=row[6],
        started_unix_s=row[7],
        finished_unix_s=row[8],
        tuned_for_s=row[9],
        tasks=tasks,
        target=row[10],
        device_class=row[11],
        worker_id=row[12],
        result=decode(JobResult, row[13]) if row[13] else None,
        trials=row[14],
        group=row[15],
        recalled=row[16],
    )
