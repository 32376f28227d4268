"""Another tracker's store, opened to be read and never written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tvm_farm.tracker.domain.errors import InvalidRequest, StateFolderUnusable
from tvm_farm.tracker.store.sqlite import schema
from tvm_farm.tracker.store.sqlite.store import SqliteStore

__all__ = ["open_other"]

_MAGIC = b"SQLite format 3\0"


@contextmanager
def open_other(path: Path) -> Iterator[SqliteStore]:
    """The store in the file, or in the state folder, ``path``. Its tracker may be running.

    One of an older version is copied, in one moment of it, and the copy is carried over; it lies in the system's folder
    for temporary files meanwhile. Raises InvalidRequest for what is no store, or one of a newer version.
    """
    file = path / "tracker.db" if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            known = opened.read(len(_MAGIC)) == _MAGIC
        if not known:
            raise InvalidRequest(f"{file} is no tracker's store: name the tracker.db in a tracker's state folder")
        version = _version(file)
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}") from error
    except sqlite3.Error as error:
        raise InvalidRequest(f"{file} cannot be read as a tracker's store: {error}") from error
    if version > schema.VERSION:
        raise InvalidRequest(
            f"{file} has schema version {version}, and this farm knows {schema.VERSION}: upgrade tvm-farm, here and "
            "where the tracker runs"
        )
    if version == schema.VERSION:
        with closing(SqliteStore(file, read_only=True)) as store:
            yield store
        return
    with TemporaryDirectory(prefix="tvm-farm-merge-") as folder:
        copy = Path(folder) / "tracker.db"
        try:
            _copy(file, copy)
            store = SqliteStore(copy, lasting=False)
        except (sqlite3.Error, StateFolderUnusable) as error:
            raise InvalidRequest(f"{file} cannot be copied to {folder} to be read: {error}") from error
        with closing(store):
            yield store


def _reading(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)


def _version(file: Path) -> int:
    with closing(_reading(file)) as connection:
        found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('records', 'jobs')").fetchone()
        if found[0] != 2:
            raise InvalidRequest(f"{file} is a database, but no tracker's: name the tracker.db in its state folder")
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _copy(file: Path, copy: Path) -> None:
    with closing(_reading(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
