"""What the searches of jobs did, as a table."""

from __future__ import annotations

from tvm_farm.tracker.domain import Job, JobKind, JobSpec, SearchStep
from tvm_farm.tracker.domain.search import search_key
from tvm_farm.tracker.store.encoding import decode, encode
from tvm_farm.tracker.store.sqlite.store_file import StoreFile

__all__ = ["SqliteSearches"]

_JOB = "(SELECT number FROM jobs WHERE id = ?)"
_ALREADY = f"""SELECT id, spec FROM jobs j WHERE model_digest = ? AND device_class = ? AND target = ? AND id <> ?
    AND kind = '{JobKind.TUNE.value}' AND EXISTS (SELECT 1 FROM searches WHERE job = j.number)
    ORDER BY trials DESC, number DESC"""


class SqliteSearches:
    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def add(self, job_id: str, step: SearchStep) -> None:
        with self._file.writing():
            job = self._file.known_job(job_id, "a step of a search")
            sql = "INSERT INTO searches VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            self._file.db.conn.execute(sql, [job, step.number, encode(step)])

    def steps(self, job_id: str, after: int, limit: int) -> list[SearchStep]:
        rows = self._file.db.conn.execute(
            f"SELECT step FROM searches WHERE job = {_JOB} AND number > ? ORDER BY number LIMIT ?",
            [job_id, after, limit],
        )
        return [decode(SearchStep, row[0]) for row in rows]

    def alike(self, job: Job) -> str | None:
        # Compared as they are kept: the bytes of a model are not.
        wanted = encode(search_key(job.spec))
        values = [job.spec.model.digest, job.device_class, job.target, job.id]
        for job_id, text in self._file.db.conn.execute(_ALREADY, values):
            if encode(search_key(decode(JobSpec, text))) == wanted:
                return str(job_id)
        return None
