"""Jobs and their tasks as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm_farm.tracker.domain import Job, JobResult, JobSpec, JobState, Task, TaskPlan
from tvm_farm.tracker.domain.job_life import Losses, requeued, started
from tvm_farm.tracker.scheduling.job_queue import Turns
from tvm_farm.tracker.store.encoding import decode, encode
from tvm_farm.tracker.store.sqlite.store_file import StoreFile
from tvm_farm.tracker.store.sqlite.workloads import SqliteWorkloads

__all__ = ["SqliteJobs"]

_COLUMNS = (
    "id, spec, state, phase, error, input_error, created, started, finished, tuned_for_s, target, device_class, "
    "worker_id, result, trials, group_id, recalled, worked_s, working_since"
)
#: Those whose turn it may be: a job whose group has an earlier one that has not ended waits for that.
_CLAIMABLE = """SELECT id FROM jobs j WHERE state = 'queued' AND NOT EXISTS (
    SELECT 1 FROM jobs e WHERE e.group_id = j.group_id AND e.group_id <> '' AND e.number < j.number
    AND e.state IN ('queued', 'running'))"""


class SqliteJobs:
    def __init__(self, file: StoreFile, workloads: SqliteWorkloads) -> None:
        self._file = file
        self._workloads = workloads

    def add(self, job: Job, request_id: str, others: Sequence[Job] = ()) -> Job:
        with self._file.writing():
            if earlier := self.of_request(request_id):
                return earlier
            self._insert(job, request_id)
            for other in others:
                self._insert(other, "")
        return job

    def add_ended(self, job: Job) -> None:
        """Keep a job of another farm with all but its tasks. Raises ValueError as ``add`` does."""
        with self._file.writing():
            self._insert(job, "")
            self._update(job)

    def _insert(self, job: Job, request_id: str) -> None:
        if self.created_unix_s(job.id) is not None:
            raise ValueError(f"there is a job {job.id} already")
        spec = job.spec
        self._file.db.execute(
            """INSERT INTO jobs (id, request_id, state, kind, model_name, model_digest, pool, engine, user, spec, phase,
            error, input_error, created, started, finished, tuned_for_s, target, device_class, worker_id, group_id,
            worked_s, working_since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
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
                job.worked_s,
                job.working_since_unix_s,
            ],
        )

    def created_unix_s(self, job_id: str) -> float | None:
        """None where there is no such job."""
        row = self._file.db.execute("SELECT created FROM jobs WHERE id = ?", [job_id]).fetchone()
        return row[0] if row else None

    def of_request(self, request_id: str) -> Job | None:
        if not request_id:
            return None
        row = self._file.db.execute("SELECT id FROM jobs WHERE request_id = ?", [request_id]).fetchone()
        return self.get(row[0]) if row else None

    def get(self, job_id: str) -> Job | None:
        row = self._file.db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", [job_id]).fetchone()
        return _job(row, self._tasks(job_id)) if row else None

    def _tasks(self, job_id: str) -> tuple[Task, ...]:
        rows = self._file.db.execute(
            """SELECT t.id, t.name, t.workload, t.weight, w.flops, t.trials, t.failed, t.untuned_s, t.best_s,
            t.space FROM tasks t JOIN workloads w ON w.key = t.workload WHERE t.job_id = ? ORDER BY t.position""",
            [job_id],
        )
        return tuple(Task(*row) for row in rows)

    def ids(self, start: str) -> list[str]:
        if self._file.db.execute("SELECT 1 FROM jobs WHERE id = ?", [start]).fetchone():
            return [start]
        rows = self._file.db.execute(
            "SELECT id FROM jobs WHERE id >= ? AND substr(id, 1, length(?)) = ? ORDER BY id LIMIT 10", [start] * 3
        )
        return [row[0] for row in rows]

    def newest(self, state: JobState | None = None, limit: int = 0) -> list[Job]:
        where, values = ("state = ?", state.value) if state else ("state <> ?", JobState.REFUSED.value)
        rows = self._file.db.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE {where} ORDER BY number DESC LIMIT ?", [values, limit or -1]
        )
        return [_job(row, ()) for row in rows]

    def of_group(self, group: str) -> list[Job]:
        rows = self._file.db.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE group_id = ? AND group_id <> '' ORDER BY number", [group]
        ).fetchall()
        return [_job(row, self._tasks(row[0])) for row in rows]

    def queue(self, turns: Turns) -> list[str]:
        order, values = _order(turns)
        rows = self._file.db.execute(f"SELECT id FROM jobs WHERE state = 'queued' {order}", values)
        return [row[0] for row in rows]

    def counts(self) -> dict[JobState, int]:
        return {
            JobState(state): n for state, n in self._file.db.execute("SELECT state, count(*) FROM jobs GROUP BY state")
        }

    def change(self, job_id: str, change: Callable[[Job], Job]) -> Job | None:
        with self._file.writing():
            before = self.get(job_id)
            if before is None:
                return None
            after = change(before)
            if after != before:
                self._update(after)
            if before.state.final and not after.state.final:
                # Asked for anew: earlier losses of its worker count no more.
                self._file.db.execute(
                    "UPDATE jobs SET spec = ?, losses = 0, trials_at_loss = 0 WHERE id = ?",
                    [encode(after.spec), job_id],
                )
            return after

    def _update(self, job: Job) -> None:
        self._file.db.execute(
            """UPDATE jobs SET state = ?, phase = ?, error = ?, input_error = ?, started = ?, finished = ?,
            tuned_for_s = ?, target = ?, device_class = ?, worker_id = ?, result = ?, worked_s = ?, working_since = ?
            WHERE id = ?""",
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
                job.worked_s,
                job.working_since_unix_s,
                job.id,
            ],
        )

    def claim(self, worker_id: str, now: float, turns: Turns) -> Job | None:
        order, values = _order(turns)
        with self._file.writing():
            row = self._file.db.execute(f"{_CLAIMABLE} {order} LIMIT 1", values).fetchone()
            return self.change(row[0], lambda job: started(job, worker_id, now)) if row else None

    def lose_worker(self, job_id: str, worker_id: str, now: float, *, counts: bool = True) -> Job | None:
        with self._file.writing():
            row = self._file.db.execute(
                """SELECT losses, trials_at_loss, trials FROM jobs
                WHERE id = ? AND state = 'running' AND worker_id = ?""",
                [job_id, worker_id],
            ).fetchone()
            if row is None:
                return self.get(job_id)
            losses = Losses(row[0], row[1])
            if counts:
                losses = losses.after_one_more(row[2])
            self._file.db.execute(
                "UPDATE jobs SET losses = ?, trials_at_loss = ? WHERE id = ?", [losses.count, losses.trials, job_id]
            )
            return self.change(job_id, lambda job: requeued(job, losses, now))

    def add_tasks(self, job_id: str, plans: Sequence[TaskPlan]) -> None:
        with self._file.writing():
            self._file.known_job(job_id, "a task")
            self._workloads.add([plan.workload for plan in plans])
            for position, plan in enumerate(plans):
                self._file.db.execute(
                    """INSERT INTO tasks (id, job_id, position, name, workload, weight, space)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET position = excluded.position, name = excluded.name,
                    workload = excluded.workload, weight = excluded.weight, space = excluded.space""",
                    [plan.id, job_id, position, plan.name, plan.workload.key, plan.weight, plan.space],
                )

    def import_task(self, job_id: str, position: int, task_id: str, task: Task) -> None:
        """Keep a task of another farm's job, whose workload is kept, without its counters."""
        self._file.db.conn.execute(
            "INSERT INTO tasks (id, job_id, position, name, workload, weight, space) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [task_id, job_id, position, task.name, task.workload, task.weight, task.space],
        )


def _order(turns: Turns) -> tuple[str, list[Any]]:
    """The order of queued jobs as SQL, with its values."""
    first = [kind.value for kind in turns.first]
    before = f"kind IN ({', '.join('?' * len(first))})"
    turn = "created - ? * coalesce(json_extract(spec, '$.priority'), 0)"
    order = f"ORDER BY CASE WHEN {before} THEN 0 ELSE 1 END, CASE WHEN {before} THEN 0 ELSE {turn} END, number"
    return order, [*first, *first, turns.step_s]


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
        worked_s=row[17],
        working_since_unix_s=row[18],
    )
