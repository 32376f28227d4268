"""How the file is opened: versions, the log, what it may use of memory and disk."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from pathlib import Path

from sqlite_utils import Database

from tvm_farm.tracker.domain.errors import StoreTooNew
from tvm_farm.tracker.store.sqlite import schema
from tvm_farm.tracker.store.sqlite.row_batches import STATEMENTS

__all__ = ["opened_to_read", "opened_to_write"]

log = logging.getLogger(__name__)

#: Pages in the log before SQLite moves them by itself: 32 MiB. A page of an index that many inserts touch is moved once
#: for all of them, and the one insert that waits for the move waits for less than a tenth of a second.
_LOG_PAGES = 8192
#: Index pages that inserts come back to.
_CACHE_KIB = 32 << 10


def opened_to_write(path: Path, lasting: bool) -> Database:
    """Made or carried over to the present version. ``lasting`` False: a copy that is thrown away soon.

    Raises StoreTooNew, or sqlite3.Error.
    """
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
            _let_shrink(connection, path)
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return db


def _let_shrink(connection: sqlite3.Connection, path: Path) -> None:
    """A store made before compaction was: it is written anew once, where there is room for that."""
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0]:
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


def opened_to_read(path: Path) -> Database:
    """A store of the present version, which another process may be writing. Raises sqlite3.Error."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return Database(connection)
