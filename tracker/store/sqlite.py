"""The store on SQLite: one file in WAL mode, opened by one process, used by one thread.

Durability: ``synchronous=NORMAL`` writes a commit to the log without waiting for the disk, so a killed process loses
nothing and a power cut may lose what was written since the last checkpoint, never the file's consistency. The
caller checkpoints every few seconds while there is something to lose, and after each change of a job's state.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from tvm_farm.tracker.domain import Desk, Device, Pool
from tvm_farm.tracker.domain.errors import StateFolderUnusable, StoreFull, StoreTooNew
from tvm_farm.tracker.store import schema
from tvm_farm.tracker.store.compaction import Compactor
from tvm_farm.tracker.store.encoding import decode, encode
from tvm_farm.tracker.store.imports import ImportTables
from tvm_farm.tracker.store.jobs import JobTables
from tvm_farm.tracker.store.origins import Origins
from tvm_farm.tracker.store.records import RecordTable
from tvm_farm.tracker.store.searches import SearchTable
from tvm_farm.tracker.store.together import STATEMENTS
from tvm_farm.tracker.store.traces import Traces, Words

__all__ = ["SqliteStore"]

log = logging.getLogger(__name__)

#: Pages in the log before SQLite moves them by itself: 32 MiB. A page of an index that many inserts touch is moved once
#: for all of them, and the one insert that waits for the move waits for less than a tenth of a second.
_LOG_PAGES = 8192
#: Index pages that inserts come back to.
_CACHE_KIB = 32 << 10


class SqliteStore(JobTables, RecordTable, SearchTable, ImportTables):
    """See tracker.store.base.Store. Raises StoreTooNew, StateFolderUnusable or StoreFull when it cannot be opened.

    ``read_only``: a store of this version, which another process may be writing. ``lasting`` False: a copy that is
    thrown away soon.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False, lasting: bool = True) -> None:
        self._path = path
        try:
            with self._writing():
                self._db = _open_to_read(path) if read_only else _open(path, lasting)
            self._words, self._traces = Words(self._db.conn), Traces(self._db.conn)
            self._origins = Origins(self._db.conn)
        except sqlite3.Error as e:
            raise StateFolderUnusable(f"the store {path} cannot be opened: {e}") from e

    def close(self) -> None:
        self._db.close()

    def checkpoint(self) -> None:
        with self._writing():
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def compactor(self, keep: int) -> Compactor:
        return Compactor(self._db, self._words, self._traces, self._writing, self.checkpoint, keep)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as e:
            # A file size limit of the system reads as an I/O error, a full disk by its own name.
            if "full" in str(e) or "disk I/O error" in str(e):
                raise StoreFull(f"the disk that holds {self._path} is full ({e}): free some space") from e
            raise

    def put_device(self, device: Device) -> None:
        with self._writing(), self._db.atomic():
            self._db.execute(
                """INSERT INTO devices (id, name, device_class, target, last_heard, measured, value)
                VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,
                device_class = excluded.device_class, target = excluded.target, last_heard = excluded.last_heard,
                measured = excluded.measured, value = excluded.value""",
                [
                    device.id,
                    device.name,
                    device.device_class,
                    device.target,
                    device.last_heard_unix_s,
                    device.measured,
                    encode(device),
                ],
            )

    def devices(self) -> list[Device]:
        rows = self._db.execute("SELECT value FROM devices ORDER BY name")
        return [decode(Device, row[0]) for row in rows]

    def put_desk(self, device_id: str, desk: Desk) -> None:
        with self._writing(), self._db.atomic():
            self._db.execute(
                "INSERT INTO desks VALUES (?, ?) ON CONFLICT (device_id) DO UPDATE SET value = excluded.value",
                [device_id, encode(desk)],
            )

    def desks(self) -> dict[str, Desk]:
        rows = self._db.execute("SELECT device_id, value FROM desks")
        return {device_id: decode(Desk, value) for device_id, value in rows}

    def put_pool(self, pool: Pool) -> None:
        with self._writing(), self._db.atomic():
            self._db.execute(
                "INSERT INTO pools VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET selector = excluded.selector",
                [pool.name, json.dumps(pool.selector)],
            )

    def delete_pool(self, name: str) -> bool:
        with self._writing(), self._db.atomic():
            return bool(self._db.execute("DELETE FROM pools WHERE name = ?", [name]).rowcount)

    def pools(self) -> list[Pool]:
        rows = self._db.execute("SELECT name, selector FROM pools ORDER BY name")
        return [Pool(name, json.loads(selector)) for name, selector in rows]


def _open(path: Path | str, lasting: bool) -> Database:
    connection = sqlite3.connect(str(path), check_same_thread=False, cached_statements=STATEMENTS)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > schema.VERSION:
            raise StoreTooNew(
                f"the store {path} has schema version {version} and this tracker knows {schema.VERSION}: "
                "start the newer tracker, or name another folder with --state"
            )
        if 0 < version < schema.VERSION:
            log.info("the store %s becomes version %d: two minutes for a million records", path, schema.VERSION)
        if version == 0:
            # Before there is anything: pages that compaction frees can be given back to the disk.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}").fetchone()
        db = Database(connection)
        schema.migrations.apply(db)
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        if lasting:
            _let_shrink(connection, Path(path))
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return db


def _let_shrink(connection: sqlite3.Connection, path: Path) -> None:
    """A store made before compaction was: it is written anew once, where there is room for that."""
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] or str(path) == ":memory:":
        return
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    try:
        if shutil.disk_usage(path.parent).free < 3 * pages * size:
            raise sqlite3.OperationalError("there is no room to write it anew")
        log.info("the store %s is written anew, once, so that compacting it makes it smaller", path)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
    except sqlite3.OperationalError as e:
        # SQLite's own copy lies in the system's folder for temporary files, which may be small, too.
        log.warning("the store %s keeps its size when it is compacted: %s", path, e)


def _open_to_read(path: Path | str) -> Database:
    connection = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return Database(connection)
