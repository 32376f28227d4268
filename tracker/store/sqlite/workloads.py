"""Operators with their shapes, as tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from tvm_farm.tracker.domain import Workload
from tvm_farm.tracker.domain.record import form_of
from tvm_farm.tracker.store.sqlite.row_batches import parts, places
from tvm_farm.tracker.store.sqlite.schema import keep_shapes
from tvm_farm.tracker.store.sqlite.store_file import StoreFile

__all__ = ["SqliteWorkloads"]


class SqliteWorkloads:
    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def add(self, workloads: Sequence[Workload]) -> None:
        with self._file.writing():
            for workload in workloads:
                self._keep(workload)

    def _keep(self, workload: Workload) -> None:
        new = self._file.db.execute(
            # One that was imported had no name of ours, and no flops.
            """INSERT INTO workloads (key, name, module, flops, form) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
            SET name = excluded.name, flops = excluded.flops, form = excluded.form
            WHERE workloads.flops = 0 AND excluded.flops > 0""",
            [workload.key, workload.name, workload.module, workload.flops, form_of(workload.name)],
        ).rowcount
        if new:
            keep_shapes(self._file.db, workload.key, workload.module)

    def get(self, key: str) -> Workload | None:
        sql = "SELECT key, name, module, flops FROM workloads WHERE key = ?"
        row = self._file.db.execute(sql, [key]).fetchone()
        return Workload(*row) if row else None

    def near(self, key: str, limit: int) -> list[str]:
        rows = self._file.db.execute(
            """SELECT n.key FROM workloads w JOIN workloads n ON n.form = w.form AND n.key <> w.key
            WHERE w.key = ? AND w.flops > 0 AND n.flops > 0
            ORDER BY max(n.flops / w.flops, w.flops / n.flops), n.key LIMIT ?""",
            [key, limit],
        )
        return [row[0] for row in rows]

    def among(self, keys: Collection[str]) -> Iterator[str]:
        """Those of ``keys`` that are kept."""
        for some in parts(sorted(keys)):
            sql = f"SELECT key FROM workloads WHERE key IN {places([some])}"
            yield from (row[0] for row in self._file.db.conn.execute(sql, list(some)))
